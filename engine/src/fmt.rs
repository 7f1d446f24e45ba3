//! How WinDbg writes addresses, times and sizes; how JSON writes hexadecimal values.

use crate::doc::{Link, Role, Span};
use dumpscope_core::Va;
use serde::{Serialize, Serializer};

/// A number that JSON shows as a hex string (`"0x7ff612340000"`): addresses, handles, codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hex(pub u64);

impl From<Va> for Hex {
    fn from(va: Va) -> Hex {
        Hex(va.0)
    }
}

impl From<u32> for Hex {
    fn from(n: u32) -> Hex {
        Hex(n.into())
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// The low half of a 32-bit address, or `None` when the value needs 64 bits. Sign-extended 32-bit values count
/// as 32-bit: expressions produce them.
fn narrow(va: Va) -> Option<u32> {
    let high = va.0 >> 32;
    let sign_extended = high == 0xffff_ffff && va.0 & 0x8000_0000 != 0;
    (high == 0 || sign_extended).then_some((va.0 & 0xffff_ffff) as u32)
}

/// ``00007ff6`0f620000`` in a 64-bit view, `7c8179c3` in a 32-bit one. An address that does not fit 32 bits is
/// written in full in any view.
#[must_use]
pub fn addr(va: Va, wide: bool) -> String {
    match narrow(va) {
        Some(low) if !wide => format!("{low:08x}"),
        _ => format!("{:08x}`{:08x}", va.0 >> 32, va.0 & 0xffff_ffff),
    }
}

/// A number as a signed one: in a 32-bit view what fits 32 bits is a 32-bit number.
#[must_use]
pub fn signed(value: u64, wide: bool) -> i64 {
    match narrow(Va(value)) {
        Some(low) if !wide => i64::from(low as i32),
        _ => value as i64,
    }
}

/// As [`addr`] without the backtick: `!teb`, `!peb`, `.exr` write addresses so.
#[must_use]
pub fn addr_plain(va: Va, wide: bool) -> String {
    match narrow(va) {
        Some(low) if !wide => format!("{low:08x}"),
        _ => format!("{:016x}", va.0),
    }
}

/// An address without leading zeros, as today's engine writes one that has no name (`40091eb8`60000000`).
#[must_use]
pub fn short(va: Va) -> String {
    match va.0 >> 32 {
        0 => format!("{:x}", va.0),
        high => format!("{high:x}`{:08x}", va.0 & 0xffff_ffff),
    }
}

/// Width of [`addr`]'s text.
#[must_use]
pub fn addr_width(wide: bool) -> usize {
    if wide { 17 } else { 8 }
}

/// An address as a span that leads to it.
#[must_use]
pub fn addr_span(va: Va, wide: bool) -> Span {
    Span::new(Role::Address, addr(va, wide)).link(Link::Goto(va))
}

/// A size as `!address -summary` writes it: leading zeros of the high half dropped (``7ffe`d06bb000``,
/// ``0`0e989000``), no backtick in a 32-bit view.
#[must_use]
pub fn size_hex(size: u64, wide: bool) -> String {
    if wide || size > u64::from(u32::MAX) {
        format!("{:x}`{:08x}", size >> 32, size & 0xffff_ffff)
    } else {
        format!("{size:8x}")
    }
}

/// A size in WinDbg's unit form, 11 wide: ` 124.000 kB`.
#[must_use]
pub fn size_unit(size: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TB", 40), ("GB", 30), ("MB", 20), ("kB", 10)];
    for (unit, shift) in UNITS {
        if size >> shift != 0 {
            // Three decimals, rounded, without going through floating point.
            let whole = size >> shift;
            let rest = u128::from(size & ((1 << shift) - 1));
            let thousandths = (rest * 1000 + (1 << (shift - 1))) >> shift;
            let (whole, thousandths) =
                if thousandths == 1000 { (whole.saturating_add(1), 0) } else { (whole, thousandths) };
            return format!("{whole:>4}.{thousandths:03} {unit}");
        }
    }
    format!("{size:>4}.000  B")
}

/// `0 days 0:20:11.843` from units of 100 ns.
#[must_use]
pub fn duration(ticks: u64) -> String {
    let ms = ticks / 10_000;
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{} days {}:{:02}:{:02}.{ms:03}", s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60)
}

/// Units of 100 ns between 1601 and 1970.
pub const UNIX_EPOCH_TICKS: u64 = 116_444_736_000_000_000;

/// A point in time as `FILETIME` ticks, from seconds since 1970.
#[must_use]
pub fn ticks_from_unix(seconds: u32) -> u64 {
    UNIX_EPOCH_TICKS.saturating_add(u64::from(seconds) * 10_000_000)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Year, month (1..=12) and day of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, usize, i64) {
    // Days in the proleptic Gregorian calendar, counted in eras of 400 years that start on 1 March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), usize::try_from(month).unwrap_or(1), day)
}

/// Parts of a time: day name, month name, day, seconds of the day, year.
fn parts(unix_seconds: i64) -> (&'static str, &'static str, i64, i64, i64) {
    let days = unix_seconds.div_euclid(86_400);
    let (year, month, day) = civil(days);
    let name = usize::try_from(days.rem_euclid(7)).ok().and_then(|d| DAYS.get(d)).unwrap_or(&"");
    (name, MONTHS.get(month.wrapping_sub(1)).unwrap_or(&""), day, unix_seconds.rem_euclid(86_400), year)
}

/// `Fri Feb  4 19:47:08 2022`, in UTC, from seconds since 1970. WinDbg shows such times in the zone of the machine
/// it runs on; the same dump must give the same text everywhere.
#[must_use]
pub fn time_stamp(seconds: u32) -> String {
    let (name, month, day, s, year) = parts(seconds.into());
    format!("{name} {month} {day:2} {:02}:{:02}:{:02} {year}", s / 3600, s / 60 % 60, s % 60)
}

/// `2022-02-04T18:47:08Z` from seconds since 1970 UTC.
#[must_use]
pub fn rfc3339(seconds: u32) -> String {
    let (year, month, day) = civil(i64::from(seconds / 86_400));
    let s = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
}

/// `Sun Oct 13 22:08:50.000 2024 (UTC + 11:00)` from ticks since 1601 UTC, shown in the zone whose local time is
/// `bias` minutes behind UTC.
#[must_use]
pub fn time_zone(ticks: u64, bias: i32) -> String {
    let since_1970 = i128::from(ticks) - i128::from(UNIX_EPOCH_TICKS);
    let local = since_1970 - i128::from(bias) * 600_000_000;
    let seconds = i64::try_from(local.div_euclid(10_000_000)).unwrap_or(0);
    let ms = local.rem_euclid(10_000_000) / 10_000;
    let (name, month, day, s, year) = parts(seconds);
    let sign = if bias > 0 { '-' } else { '+' };
    let bias = bias.unsigned_abs();
    format!(
        "{name} {month} {day:2} {:02}:{:02}:{:02}.{ms:03} {year} (UTC {sign} {}:{:02})",
        s / 3600,
        s / 60 % 60,
        s % 60,
        bias / 60,
        bias % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(addr(Va(0x7ff6_0f62_0000), true), "00007ff6`0f620000");
        assert_eq!(addr(Va(0x7c81_79c3), false), "7c8179c3");
        assert_eq!(addr(Va(0xffff_ffff_8000_0000), false), "80000000");
        // Never cut: a 64-bit address in a 32-bit view is shown whole.
        assert_eq!(addr(Va(0x7ff6_0f62_0000), false), "00007ff6`0f620000");
        assert_eq!(addr_plain(Va(0x10), true), "0000000000000010");
        assert_eq!(serde_json::to_string(&Hex(0x1f_0003)).unwrap(), "\"0x1f0003\"");
    }

    #[test]
    fn sizes() {
        assert_eq!(size_unit(0x1f000), " 124.000 kB");
        assert_eq!(size_unit(0x7ffe_d06b_b000), " 127.995 TB");
        assert_eq!(size_unit(0xfeb0_f000), "   3.980 GB");
        assert_eq!(size_unit(0), "   0.000  B");
        assert_eq!(size_unit((1 << 20) - 1), "1023.999 kB");
        assert_eq!(size_hex(0x0e98_9000, true), "0`0e989000");
        assert_eq!(size_hex(0x7ffe_d06b_b000, true), "7ffe`d06bb000");
    }

    #[test]
    fn times() {
        assert_eq!(duration(12_118_430_000), "0 days 0:20:11.843");
        assert_eq!(duration(107_334_430_000), "0 days 2:58:53.443");
        assert_eq!(duration(u64::MAX), "21350398 days 5:36:10.955");
        assert_eq!(time_stamp(0x61fd_74ac), "Fri Feb  4 18:47:08 2022");
        assert_eq!(rfc3339(0x61fd_74ac), "2022-02-04T18:47:08Z");
        assert_eq!(time_stamp(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(time_stamp(u32::MAX), "Sun Feb  7 06:28:15 2106");
        assert_eq!(
            time_zone(ticks_from_unix(1_728_817_730), -660),
            "Sun Oct 13 22:08:50.000 2024 (UTC + 11:00)"
        );
        assert_eq!(time_zone(0, 0), "Mon Jan  1 00:00:00.000 1601 (UTC + 0:00)");
        assert!(time_zone(u64::MAX, i32::MIN).contains("UTC"));
    }
}
