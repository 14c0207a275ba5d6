//! Fields known by their place.

use core::fmt;

use huiwan_purse::{transit, tti::Tti};

use super::Meaning;
use super::out::Out;

/// How a field is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum As {
    Bytes,
    Fen,
    Number,
    Date,
    Time,
    Moment,
    Type,
}

/// One row per field: name, bytes, how it is shown.
pub(super) type Row = (&'static str, usize, As);

/// Shows `data` by `rows`; what is missing is malformed, what is left over is shown as it is.
pub(super) fn fields(out: &mut Out<'_>, rows: &[Row], data: &[u8], at: usize) -> fmt::Result {
    let (mut rest, mut at) = (data, at);
    for (name, len, shown) in rows {
        let Some((value, after)) = rest.split_at_checked(*len) else {
            out.unknown(at, "data", rest)?;
            return out.malformed(at.saturating_add(rest.len()), format_args!("{name} truncated"));
        };
        out.field(at, name, value, shown.meaning(value))?;
        at = at.saturating_add(*len);
        rest = after;
    }
    out.unknown(at, "more data than expected", rest)
}

/// Shows a transit record by its layout.
pub(super) fn transit(out: &mut Out<'_>, rows: &[transit::Row], data: &[u8], at: usize) -> fmt::Result {
    for row in rows {
        let Some(value) = data.get(row.at..row.at.saturating_add(row.len)) else {
            return out.malformed(at.saturating_add(data.len()), format_args!("{} truncated", row.name));
        };
        // Fields that are not used yet would only be in the way.
        if value.iter().any(|byte| *byte != 0) {
            out.field(
                at.saturating_add(row.at),
                row.name,
                value,
                As::named(row.name, row.len).meaning(value),
            )?;
        }
    }
    Ok(())
}

impl As {
    /// By what a row of a transit layout is called.
    fn named(name: &str, len: usize) -> Self {
        match len {
            4 if name.contains("date") => Self::Date,
            7 if name.ends_with("date and time") => Self::Moment,
            3 if name == "time" => Self::Time,
            1 if name == "transaction type" => Self::Type,
            3 | 4 if ["amount", "balance", "fare", "limit"].iter().any(|money| name.contains(money)) => {
                Self::Fen
            }
            2 if name.contains("counter") => Self::Number,
            _ => Self::Bytes,
        }
    }

    fn meaning(self, value: &[u8]) -> Meaning<'_> {
        match (self, value) {
            (Self::Bytes, _) => Meaning::None,
            (Self::Number, _) => Meaning::number(value),
            (Self::Fen, _) => match Meaning::number(value) {
                Meaning::Number(fen) => Meaning::Fen(fen),
                other => other,
            },
            (Self::Date, _) => Meaning::Date(value),
            (Self::Time, _) => Meaning::Time(value),
            (Self::Moment, _) => Meaning::Moment(value),
            (Self::Type, [tti]) => Tti(*tti).name().map_or(Meaning::None, Meaning::Known),
            (Self::Type, _) => Meaning::None,
        }
    }
}
