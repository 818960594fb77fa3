//! Resources that share a table.

use super::Model;
use gatewright_sdk::Fault;

/// Resources that share a table must agree on it: `(index of the resource, fault)` for each that does not.
pub fn conflicts(models: &[(&str, &Model)]) -> Vec<(usize, Fault)> {
    let mut found = Vec::new();
    for (at, (name, model)) in models.iter().enumerate() {
        let earlier = models
            .iter()
            .take(at)
            .find(|(_, other)| other.table.name == model.table.name && other.store == model.store);
        let Some((other_name, other)) = earlier else { continue };
        let columns = |model: &Model| model.table.columns.iter().map(|c| (c.name.clone(), c.kind)).collect::<Vec<_>>();
        if columns(model) != columns(other)
            || model.table.id != other.table.id
            || model.table.indexes != other.table.indexes
        {
            let table = &model.table.name;
            let text =
                format!("resources `{other_name}` and `{name}` share the table `{table}` and give it different fields");
            found.push((at, Fault::new("table", text).help("give one of them a table of its own, or the same fields")));
        }
    }
    found
}
