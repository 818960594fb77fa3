//! Checks `under` of routes: the field exists, refers to another resource, and the path names its item.

use super::Lint;
use crate::config::document::resource::FieldKind;
use crate::config::document::route::Route;
use crate::config::words;
use gatewright_sdk::Code;

impl Lint<'_> {
    pub(super) fn under(&mut self, at: &str, route: &Route) {
        let Some(under) = &route.under else { return };
        let at_key = format!("{at}.under");
        let Some(name) = &route.resource else {
            let help = "remove it, or add `resource: NAME`";
            return self.error(Code::COLLECTION_PATH, &at_key, "`under` works only with a resource", help);
        };
        // A resource that does not exist is reported already.
        let Some(resource) = self.document.resources.get(name) else { return };
        let Some(field) = resource.fields.get(under) else {
            let refs = resource.fields.iter().filter(|(_, field)| field.r#type == FieldKind::Ref);
            let names: Vec<&str> = refs.map(|(name, _)| name).collect();
            let help = match words::nearest(under, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => format!("add a field of `type: ref` to `{name}`"),
                None => format!("use one of {}", words::list(&names)),
            };
            let message = format!("resource `{name}` has no field `{}`", under.escape_debug());
            return self.error(Code::UNKNOWN_FIELD, &at_key, message, help);
        };
        if field.r#type != FieldKind::Ref {
            let message = format!("`{under}` of `{name}` does not refer to another resource");
            return self.error(Code::FIELD_OPTION, &at_key, message, "use a field of `type: ref`");
        }
        let Some(path) = &route.path else { return };
        if !path.parameters().any(|parameter| parameter == under) {
            let to = field.to.as_deref().unwrap_or("parents");
            let message =
                format!("the path has no parameter `{{{under}}}`, which names the item that `{under}` refers to");
            let help = format!("write a path such as `/{to}/{{{under}}}/{name}`");
            self.error(Code::COLLECTION_PATH, &at_key, message, help);
        }
    }
}
