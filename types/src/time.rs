//! Block time: the header's, never the machine's.

/// A moment, in UTC, as protobuf's `Timestamp` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanos: u32,
}

impl Timestamp {
    /// Whole seconds since 1970, zero for moments before.
    pub fn unix(self) -> u64 {
        u64::try_from(self.seconds).unwrap_or(0)
    }
    /// This moment `seconds` later; saturates.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self {
            seconds: self.seconds.saturating_add(seconds),
            nanos: self.nanos,
        }
    }
    /// The calendar date and time of day: year, month, day, hour, minute, second.
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32) {
        let days = self.seconds.div_euclid(86_400);
        let second = u32::try_from(self.seconds.rem_euclid(86_400)).expect("below 86400");
        // Days to civil date: Howard Hinnant's algorithm (public domain).
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = u32::try_from(doy - (153 * mp + 2) / 5 + 1).expect("1 to 31");
        let month = u32::try_from(if mp < 10 { mp + 3 } else { mp - 9 }).expect("1 to 12");
        let year = yoe + era * 400 + i64::from(month <= 2);
        (year, month, day, second / 3600, second / 60 % 60, second % 60)
    }
    /// The SDK's sortable form in queue keys: `2006-01-02T15:04:05.000000000`.
    pub fn sortable(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{:09}", self.nanos)
    }
    /// RFC 3339 with a trailing `Z`, without superfluous zeros.
    pub fn rfc3339(self) -> String {
        let text = self.sortable();
        let text = text.trim_end_matches('0').trim_end_matches('.');
        // A round hour loses its digits to the trimming above only when nanos are zero.
        if self.nanos == 0 {
            format!("{}Z", &self.sortable()[..19])
        } else {
            format!("{text}Z")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let t = Timestamp {
            seconds: 1_136_214_245,
            nanos: 5,
        };
        assert_eq!(t.sortable(), "2006-01-02T15:04:05.000000005");
        assert_eq!(
            Timestamp {
                seconds: 951_782_400,
                nanos: 0
            }
            .rfc3339(),
            "2000-02-29T00:00:00Z"
        );
        assert_eq!(
            Timestamp {
                seconds: 0,
                nanos: 500_000_000
            }
            .rfc3339(),
            "1970-01-01T00:00:00.5Z"
        );
        assert_eq!(
            Timestamp {
                seconds: -1,
                nanos: 0
            }
            .sortable(),
            "1969-12-31T23:59:59.000000000"
        );
    }
}
