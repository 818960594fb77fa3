//! Types that include the values of others: a column can get one of them without a loss.

use crate::resource::decimal::Decimal;
use crate::resource::table::{Column, ColumnType};

/// The largest integer up to which every one is a double of its own.
const EXACT: i64 = 9_007_199_254_740_992;

/// Whether a column with values of type `from` can become `column`, if [`unfit`] finds no value that cannot.
pub fn is_widening(from: ColumnType, column: &Column) -> bool {
    column.declared.is_wide
        && matches!(
            (from, column.kind),
            (ColumnType::Integer, ColumnType::Number | ColumnType::Decimal | ColumnType::Text)
                | (ColumnType::Date, ColumnType::Datetime)
        )
}

/// The condition on values that do not fit, and why they do not.
pub fn unfit(from: ColumnType, column: &Column) -> Option<(String, String)> {
    let name = format!("\"{}\"", column.name);
    match (from, column.kind) {
        (ColumnType::Integer, ColumnType::Number) => Some((
            format!("{name} NOT BETWEEN -{EXACT} AND {EXACT}"),
            format!("are beyond {EXACT}, and would be rounded"),
        )),
        (ColumnType::Integer, ColumnType::Decimal) => {
            let scale = scale(column);
            let digits = column.declared.precision.unwrap_or(38).saturating_sub(scale);
            Some((
                format!("length(ltrim(CAST({name} AS text), '-')) > {digits} AND {name} <> 0"),
                format!("have more than {digits} digits before the point"),
            ))
        }
        _ => None,
    }
}

/// The digits that a decimal has after its point.
pub fn scale(column: &Column) -> u32 {
    column.form.and_then(|form| form.scale).unwrap_or(0)
}

/// The default of a column, as a literal of its new type.
pub fn default(default: &str, column: &Column) -> String {
    let text = default.trim_matches('\'');
    match column.kind {
        ColumnType::Text => format!("'{text}'"),
        ColumnType::Decimal => {
            let decimal = Decimal::parse(text).map(|decimal| decimal.canonical(scale(column)));
            format!("'{}'", decimal.unwrap_or_else(|| text.to_owned()))
        }
        ColumnType::Datetime => format!("'{text}T00:00:00.000000Z'"),
        _ => default.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::form::Form;
    use crate::resource::table::Declared;

    fn column(kind: ColumnType) -> Column {
        let form = Form { scale: (kind == ColumnType::Decimal).then_some(2), ..Form::default() };
        let declared = Declared { is_wide: true, precision: Some(6), ..Declared::default() };
        Column { name: "x".into(), kind, default: None, required: false, form: Some(form), references: None, declared }
    }

    #[test]
    fn wider_types_are_known_and_others_are_not() {
        use ColumnType::{Boolean, Date, Datetime, Decimal, Integer, Number, Text, Uuid};
        for (from, to) in [(Integer, Number), (Integer, Decimal), (Integer, Text), (Date, Datetime)] {
            assert!(is_widening(from, &column(to)), "{from} {to}");
        }
        for (from, to) in [(Number, Integer), (Text, Integer), (Datetime, Date), (Integer, Boolean), (Uuid, Integer)] {
            assert!(!is_widening(from, &column(to)), "{from} {to}");
        }
        // An e-mail address is text, and a number is not one.
        let narrow = Column { declared: Declared::default(), ..column(Text) };
        assert!(!is_widening(Integer, &narrow));
    }

    #[test]
    fn a_default_is_written_in_the_new_type() {
        assert_eq!(default("5", &column(ColumnType::Text)), "'5'");
        assert_eq!(default("-5", &column(ColumnType::Number)), "-5");
        assert_eq!(default("5", &column(ColumnType::Decimal)), "'5.00'");
        assert_eq!(default("'2026-01-31'", &column(ColumnType::Datetime)), "'2026-01-31T00:00:00.000000Z'");
    }
}
