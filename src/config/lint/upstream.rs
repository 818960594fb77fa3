//! Checks the targets of upstreams.

use super::Lint;
use gatewright_sdk::Code;

impl Lint<'_> {
    pub(super) fn upstreams(&mut self) {
        for (name, upstream) in self.document.upstreams.iter() {
            for (index, target) in upstream.targets.iter().enumerate() {
                let path = format!("upstreams.{name}.targets[{index}].url");
                if upstream.targets.iter().take(index).any(|other| other.url.is_same(&target.url)) {
                    let help = "use `weight` to give it a larger share";
                    self.warning(Code::DUPLICATE_TARGET, &path, "this target is listed twice", help);
                }
            }
        }
    }
}
