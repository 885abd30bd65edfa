//! What was measured, for people.

use std::fmt;

/// The figures of one run.
pub(crate) struct Table {
    /// Where and how: lines above the rows.
    pub(crate) about: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// One figure.
pub(crate) struct Row {
    name: &'static str,
    unit: Unit,
    /// One value a round.
    values: Vec<f64>,
    target: Option<Target>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    Ratio,
    Milliseconds,
    Microseconds,
    Seconds,
    /// How many.
    Count,
    /// Of 10^6 bytes.
    Megabytes,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    Under(f64),
}

impl Table {
    /// Whether every row that has a target reaches it.
    pub(crate) fn is_met(&self) -> bool {
        self.rows.iter().all(|it| it.is_met() != Some(false))
    }
}

impl Row {
    pub(crate) fn new(name: &'static str, unit: Unit, values: Vec<f64>) -> Self {
        Self { name, unit, values, target: None }
    }

    pub(crate) fn target(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// What counts: the median of the rounds.
    fn measured(&self) -> f64 {
        quantile(&self.values, 0.5)
    }

    fn is_met(&self) -> Option<bool> {
        let measured = self.measured();
        self.target.map(|target| match target {
            Target::AtLeast(limit) => measured >= limit,
            Target::AtMost(limit) => measured <= limit,
            Target::Under(limit) => measured < limit,
        })
    }

    /// The columns after the name.
    fn columns(&self) -> [String; 4] {
        let range = match self.values.as_slice() {
            [] | [_] => String::new(),
            many => format!(
                "{} – {}",
                self.unit.number(quantile(many, 0.0)),
                self.unit.number(quantile(many, 1.0))
            ),
        };
        let target = self.target.map_or_else(String::new, |target| match target {
            Target::AtLeast(limit) => format!("at least {}", self.unit.target(limit)),
            Target::AtMost(limit) => format!("at most {}", self.unit.target(limit)),
            Target::Under(limit) => format!("under {}", self.unit.target(limit)),
        });
        let verdict = match self.is_met() {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        let measured = format!("{}{}", self.unit.number(self.measured()), self.unit.suffix());
        [measured, range, target, verdict.to_owned()]
    }
}

impl Unit {
    fn number(self, value: f64) -> String {
        match self {
            Self::PerSecond | Self::Microseconds | Self::Count => format!("{value:.0}"),
            Self::Ratio | Self::Milliseconds | Self::Seconds => format!("{value:.2}"),
            Self::Megabytes => format!("{value:.1}"),
        }
    }

    /// All of one width, so that the numbers of a column are aligned.
    fn suffix(self) -> &'static str {
        match self {
            Self::PerSecond => " /s",
            Self::Ratio | Self::Count => "   ",
            Self::Seconds => " s ",
            Self::Milliseconds => " ms",
            Self::Microseconds => " µs",
            Self::Megabytes => " MB",
        }
    }

    fn target(self, limit: f64) -> String {
        format!("{limit}{}", self.suffix().trim_end())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.about {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        let name = self.rows.iter().map(|it| it.name.chars().count()).max().unwrap_or_default();
        let mut line = |cells: [&str; 5]| {
            let [row, measured, range, target, verdict] = cells;
            let line = format!("{row:name$}  {measured:>10}  {range:>13}  {target:<16}  {verdict}");
            writeln!(f, "{}", line.trim_end())
        };
        line(["", "median   ", "of the rounds", "target", ""])?;
        for row in &self.rows {
            let [measured, range, target, verdict] = row.columns();
            line([row.name, &measured, &range, &target, &verdict])?;
        }
        Ok(())
    }
}

/// The value below which this part of all values is; of no values, not a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a count of samples"
)]
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = part * sorted.len().saturating_sub(1) as f64;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
    let (below, above) = (at(place.floor()), at(place.ceil()));
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64], target: Target) -> Row {
        Row::new("a row", Unit::Milliseconds, values.to_vec()).target(target)
    }

    #[test]
    fn quantiles_are_between_their_neighbours() {
        assert!((quantile(&[3.0, 1.0, 2.0], 0.5) - 2.0).abs() < 1e-9);
        assert!((quantile(&[1.0, 2.0], 0.5) - 1.5).abs() < 1e-9);
        assert!((quantile(&[1.0, 2.0], 1.0) - 2.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_median_decides() {
        assert_eq!(row(&[1.0, 2.0, 9.0], Target::AtMost(2.0)).is_met(), Some(true));
        assert_eq!(row(&[1.0, 2.0, 9.0], Target::Under(2.0)).is_met(), Some(false));
        assert_eq!(row(&[1.0], Target::AtLeast(1.5)).is_met(), Some(false));
        // Nothing measured is nothing reached.
        assert_eq!(row(&[], Target::AtMost(2.0)).is_met(), Some(false));
        assert_eq!(Row::new("a row", Unit::Ratio, vec![1.0]).is_met(), None);
    }

    #[test]
    fn tables_are_for_people() {
        let rows = vec![
            row(&[1.0, 2.0, 9.0], Target::AtMost(1.5)),
            Row::new("another", Unit::PerSecond, vec![5000.0]),
        ];
        let table = Table { about: vec!["about".to_owned()], rows };
        assert!(!table.is_met());
        let text = table.to_string();
        assert!(text.contains("a row       2.00 ms    1.00 – 9.00  at most 1.5 ms    MISSED\n"), "{text}");
        assert!(text.ends_with("another     5000 /s\n"), "{text}");
    }
}
