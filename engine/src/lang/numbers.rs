//! Numbers as C's `printf` writes them in the Microsoft runtime of WinDbg's day: exponents have three digits.

/// `%.<precision>g`.
#[must_use]
pub fn general(value: f64, precision: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-1.#IND".into() } else { "1.#QNAN".into() };
    }
    if value.is_infinite() {
        return if value < 0.0 { "-1.#INF".into() } else { "1.#INF".into() };
    }
    let precision = precision.max(1);
    if value == 0.0 {
        return "0".to_owned();
    }
    // `{:e}` rounds to the precision; its exponent decides which form is shorter.
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= i32::try_from(precision).unwrap_or(i32::MAX) {
        return format!("{}{}", trim(mantissa), exponent_text(exponent));
    }
    let decimals = usize::try_from(i32::try_from(precision).unwrap_or(0) - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}")).to_owned()
}

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

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
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
