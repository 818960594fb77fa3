//! Resources that name the same table.

use super::Model;
use gatewright_sdk::{Code, Fault};

/// A table belongs to one resource: the rules, the forms of values and the indexes of another would not hold for what
/// the first one stores. Gives `(index of the resource, fault)` for each that comes second. `same` says whether two
/// stores of these names are one database.
pub fn conflicts(models: &[(&str, &Model)], same: impl Fn(&str, &str) -> bool) -> Vec<(usize, Fault)> {
    let mut found = Vec::new();
    for (at, (_, model)) in models.iter().enumerate() {
        let table = &model.table.name;
        let shares = |other: &Model| other.table.name == *table && same(&other.store, &model.store);
        if let Some((other, _)) = models.iter().take(at).find(|(_, other)| shares(other)) {
            let text = format!("table `{table}` is already used by resource `{other}`");
            found.push((
                at,
                Fault::new("table", text).code(Code::SHARED_TABLE).help("use a different table: `table: NAME`"),
            ));
        }
    }
    found
}
