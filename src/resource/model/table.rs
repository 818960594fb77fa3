//! The table that a resource needs.

use crate::config::document::resource::{IdKind, OnDelete, Resource};
use crate::resource::dialect::Dialect;
use crate::resource::field::{Field, Source};
use crate::resource::operator;
use crate::resource::table::{Column, Declared, Index, Table, id_column};

/// The table of a resource, in a kind of store.
pub(super) fn table(
    (name, dialect): (String, Dialect),
    spec: &Resource,
    fields: &[Field],
    mut indexes: Vec<Index>,
) -> Table {
    let id = id_column(spec.id.r#type);
    let columns = fields.iter().map(|field| Column {
        name: field.name.clone(),
        kind: field.kind.column(),
        default: field.default.as_ref().and_then(|source| match source {
            // There may be no such item, and a store that checks does not fill a column with it.
            Source::Constant(constant) if field.reference.is_none() => constant.literal(),
            _ => None,
        }),
        required: !field.nullable,
        form: Some(field.form()),
        references: field.reference.as_ref().map(|reference| reference.table.clone()),
        declared: Declared {
            renamed_from: spec.fields.get(&field.name).and_then(|written| written.renamed_from.clone()),
            is_secret: field.write_only || field.hidden,
            is_wide: field.kind.is_wide(),
            precision: field.kind.precision(),
            acts_on_delete: field.reference.as_ref().is_some_and(|to| to.on_delete != OnDelete::Restrict),
        },
    });
    let columns: Vec<_> = columns.collect();
    for (declared, field) in spec.fields.iter().zip(fields) {
        let (_, declared) = declared;
        if declared.unique.unique {
            let with = declared.unique.with.iter().cloned();
            let columns = std::iter::once(field.name.clone()).chain(with).collect();
            indexes.push(Index { columns, unique: true, ignore_case: field.fold, ordered: false });
        } else if (declared.index || field.reference.is_some())
            && !indexes.iter().any(|index| index.columns == [&*field.name])
        {
            indexes.push(Index {
                columns: vec![field.name.clone()],
                unique: false,
                ignore_case: false,
                ordered: false,
            });
        }
    }
    let ordered = fields.iter().filter(|field| {
        dialect.ordered(&field.name, field.kind.column()).is_some()
            && (field.sort || field.filter.iter().any(|operator| operator::asks_for_order(*operator)))
            && indexes.iter().any(|index| index.columns.first() == Some(&field.name))
    });
    let ordered = ordered.map(|field| Index {
        columns: vec![field.name.clone()],
        unique: false,
        ignore_case: false,
        ordered: true,
    });
    indexes.extend(ordered.collect::<Vec<_>>());
    Table { name, id, id_counts: spec.id.r#type == IdKind::Integer, columns, indexes }
}
