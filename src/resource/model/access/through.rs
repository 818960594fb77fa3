//! Conditions about the item that an item refers to: `where: { list_id.owner_id: $claims.sub }`.

use super::RuleCompiler;
use crate::config::words;
use crate::resource::model::settings::shown;
use crate::resource::predicate::Column;
use gatewright_sdk::Code;

impl RuleCompiler<'_> {
    /// The field `of` of the item that the field `through` refers to.
    pub(super) fn of_another(&mut self, through: &str, of: &str, path: &str) -> Option<Column> {
        let found = self.fields.iter().enumerate().find(|(_, field)| field.name == through);
        let Some((at, reference)) = found.and_then(|(at, field)| Some((at, field.reference.as_ref()?))) else {
            let (text, names): (_, Vec<&str>) = match found {
                Some(_) => (format!("`{}` does not refer to another resource", shown(through)), Vec::new()),
                None => {
                    let names = self.fields.iter().filter(|field| field.reference.is_some());
                    (format!("`{}` is not a field", shown(through)), names.map(|field| &*field.name).collect())
                }
            };
            let help = words::nearest(through, &names).map_or_else(
                || "before the dot, use a field of `type: ref`".to_owned(),
                |near| format!("did you mean `{near}.{}`?", shown(of)),
            );
            self.coded(Code::UNKNOWN_FIELD, path.to_owned(), text, &help);
            return None;
        };
        if of == "id" {
            return Some(Column::Field(at));
        }
        let names: Vec<&str> = reference.fields.iter().map(|field| &*field.name).collect();
        if let Some(position) = names.iter().position(|name| *name == of) {
            return Some(Column::Of(at, position));
        }
        let text = format!("`{}` has no field `{}`", reference.to, shown(of));
        let help = match words::nearest(of, &names) {
            _ if of.contains('.') => "only fields of the resource itself, and of one that it refers to".to_owned(),
            Some(near) => format!("did you mean `{through}.{near}`?"),
            None => format!("use a field of `{}`: {}", reference.to, names.join(", ")),
        };
        self.coded(Code::UNKNOWN_FIELD, path.to_owned(), text, &help);
        None
    }
}
