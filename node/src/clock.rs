//! The machine's clock: read here and nowhere below.
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use types::Timestamp;

/// Now, in UTC.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(std::time::Duration::ZERO);
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos(),
    }
}

/// Reads RFC 3339.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp {
        seconds: at.unix_timestamp(),
        nanos: at.nanosecond(),
    })
}

/// The time of a block: now, or just after its parent where the clock stands still or went back.
pub(crate) fn after(parent: Timestamp) -> Timestamp {
    let now = now();
    if now > parent {
        return now;
    }
    // CometBFT's step (types/validator_set.go, BFT time): a millisecond.
    let nanos = parent.nanos + 1_000_000;
    match nanos.checked_sub(1_000_000_000) {
        None => Timestamp {
            seconds: parent.seconds,
            nanos,
        },
        Some(nanos) => Timestamp {
            seconds: parent.seconds.saturating_add(1),
            nanos,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_times_rise_also_where_the_clock_does_not() {
        let future = Timestamp {
            seconds: now().seconds + 1000,
            nanos: 999_500_000,
        };
        let next = after(future);
        assert_eq!(
            next,
            Timestamp {
                seconds: future.seconds + 1,
                nanos: 500_000
            }
        );
        assert!(
            after(Timestamp::default())
                > Timestamp {
                    seconds: 1_600_000_000,
                    nanos: 0
                }
        );
        assert_eq!(
            parse("1970-01-01T00:00:01.5Z"),
            Some(Timestamp {
                seconds: 1,
                nanos: 500_000_000
            })
        );
        assert_eq!(parse("yesterday"), None);
    }
}
