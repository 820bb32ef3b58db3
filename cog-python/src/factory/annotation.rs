//! Annotations of the image's manifest, in OCI's words.

use llb::gateway::{Build, Error, Result};
use llb::value::ImageRef;

use crate::layer::Base;
use crate::plan::Plan;

const SECONDS_OF_A_DAY: i64 = 86_400;

/// What the base image is, and, where the time of the build is given, when the image was made. A time that is not given
/// is left out: it would make every image another one.
pub(super) fn annotations(
    build: &Build,
    plan: &Plan,
    base: &Base,
) -> Result<Vec<(&'static str, String)>> {
    let mut found = Vec::new();
    if let Some(pinned) = &base.pinned {
        let pinned = ImageRef::parse(pinned)?;
        if let Some(reference) = plan.base() {
            let reference = ImageRef::parse(reference)?;
            found.push((
                "org.opencontainers.image.base.name",
                reference.as_str().to_owned(),
            ));
        }
        if let Some(digest) = pinned.digest() {
            found.push(("org.opencontainers.image.base.digest", digest.to_owned()));
        }
    }
    if let Some(epoch) = build.build_arg("SOURCE_DATE_EPOCH") {
        let seconds = epoch
            .parse()
            .map_err(|error| Error::new(error).context(format!("SOURCE_DATE_EPOCH {epoch:?}")))?;
        found.push(("org.opencontainers.image.created", date(seconds)));
    }
    Ok(found)
}

/// A time as it may be in a tag: `20241231T235959Z`.
pub(crate) fn compact_date(seconds: i64) -> String {
    date(seconds).replace(['-', ':'], "")
}

/// A time in the form of RFC 3339, in UTC.
fn date(seconds: i64) -> String {
    let (days, rest) = (
        seconds.div_euclid(SECONDS_OF_A_DAY),
        seconds.rem_euclid(SECONDS_OF_A_DAY),
    );
    // Days are counted from March 1 of year 0, so that a leap day is the last one of its year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn times_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
        assert_eq!(super::compact_date(0), "19700101T000000Z");
    }
}
