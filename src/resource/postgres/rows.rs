//! Values and rows of PostgreSQL: bound parameters in, borrowed cells out.

use std::error::Error as StdError;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::resource::contract::{Cell, Error, Param, Row, Rows};

/// The statements cast every parameter to one of three types, see [`Dialect::value`](crate::resource::dialect::Dialect::value).
impl ToSql for Param {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) if *kind == Type::FLOAT8 => {
                #[expect(clippy::cast_precision_loss, reason = "a whole number for a column of floating-point numbers")]
                let number = *number as f64;
                number.to_sql(kind, out)
            }
            Self::Integer(number) if *kind == Type::INT8 => number.to_sql(kind, out),
            Self::Integer(number) => number.to_string().to_sql(kind, out),
            Self::Real(number) if *kind == Type::FLOAT8 => number.to_sql(kind, out),
            Self::Real(number) => number.to_string().to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::FLOAT8) || is_text(kind)
    }

    to_sql_checked!();
}

fn is_text(kind: &Type) -> bool {
    matches!(*kind, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN)
}

/// A cell in its binary form.
struct Raw<'a>(Cell<'a>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(match *kind {
            Type::INT8 => Cell::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Cell::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT2 => Cell::Integer(i16::from_sql(kind, raw)?.into()),
            Type::BOOL => Cell::Integer(bool::from_sql(kind, raw)?.into()),
            Type::FLOAT8 => Cell::Real(f64::from_sql(kind, raw)?),
            Type::FLOAT4 => Cell::Real(f32::from_sql(kind, raw)?.into()),
            _ => Cell::Text(str::from_utf8(raw)?),
        }))
    }

    fn accepts(kind: &Type) -> bool {
        is_text(kind)
            || matches!(*kind, Type::INT8 | Type::INT4 | Type::INT2 | Type::BOOL | Type::FLOAT8 | Type::FLOAT4)
    }
}

impl Row for tokio_postgres::Row {
    fn width(&self) -> usize {
        self.len()
    }

    /// Our statements select only these types.
    fn cell(&self, column: usize) -> Cell<'_> {
        self.try_get::<_, Option<Raw<'_>>>(column).ok().flatten().map_or(Cell::Null, |raw| raw.0)
    }
}

/// Rows that were all received.
pub struct Received {
    rows: std::vec::IntoIter<tokio_postgres::Row>,
    current: Option<tokio_postgres::Row>,
}

impl Received {
    pub fn new(rows: Vec<tokio_postgres::Row>) -> Self {
        Self { rows: rows.into_iter(), current: None }
    }
}

impl Rows for Received {
    fn next(&mut self) -> Result<Option<&dyn Row>, Error> {
        self.current = self.rows.next();
        Ok(self.current.as_ref().map(|row| row as &dyn Row))
    }
}

/// Parameters as the client library takes them.
pub fn bound(parameters: &[Param]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect()
}
