//! Numbers as people read them.

use std::time::Duration;

/// A number of bytes in decimal units: `12 B`, `5.24 MB`.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return match unit {
                "B" => format!("{bytes} B"),
                _ => format!("{value:.2} {unit}"),
            };
        }
        value /= 1000.0;
    }
    format!("{value:.2} TB")
}

/// A duration in seconds: `0.1s`, `754.0s`.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// A duration in its two largest units: `0.1s`, `12m 34s`, `1h 02m`.
#[cfg(feature = "progress")]
pub(super) fn clock(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..60 => seconds(Duration::from_millis(
            // 59.96 would be rounded to 60.
            u64::try_from(duration.as_millis()).unwrap_or(0).min(59_900),
        )),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_or_so() {
        let sizes = [0, 999, 1000, 5_242_880, 1 << 30, u64::MAX].map(size);
        assert_eq!(
            sizes,
            [
                "0 B",
                "999 B",
                "1.00 kB",
                "5.24 MB",
                "1.07 GB",
                "18446744.07 TB"
            ]
        );
    }

    #[cfg(feature = "progress")]
    #[test]
    fn durations_have_two_units_at_most() {
        let clocks = [0, 1234, 59_990, 60_000, 754_000, 3_720_000].map(Duration::from_millis);
        assert_eq!(
            clocks.map(clock),
            ["0.0s", "1.2s", "59.9s", "1m 00s", "12m 34s", "1h 02m"]
        );
    }
}
