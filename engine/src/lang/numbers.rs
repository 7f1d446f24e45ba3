//! Numbers as C's `printf` writes them in the Microsoft runtime of WinDbg's day: exponents have three digits.

pub use dumpscope_symbols::types::general;

/// `%.<precision>e`.
#[must_use]
pub fn scientific(value: f64, precision: usize) -> String {
    if !value.is_finite() {
        return general(value, 6);
    }
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}{}", exponent_text(exponent.parse().unwrap_or(0)))
}

fn exponent_text(exponent: i32) -> String {
    format!("e{}{:03}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_form() {
        for (value, precision, text) in [
            (0.0, 6, "0"),
            (1.0, 6, "1"),
            (0.1, 6, "0.1"),
            (100_000.0, 6, "100000"),
            (1_000_000.0, 6, "1e+006"),
            (1.114_77e-29, 6, "1.11477e-029"),
            (6.951_25e-310, 6, "6.95125e-310"),
            (-2.5, 6, "-2.5"),
            (f64::INFINITY, 6, "1.#INF"),
        ] {
            assert_eq!(general(value, precision), text);
        }
        assert_eq!(scientific(1234.5, 3), "1.234e+003");
    }
}
