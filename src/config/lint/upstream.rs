//! Checks the targets of upstreams, how their names are looked up, and limits on requests in progress.

use super::Lint;
use gatewright_sdk::Code;

/// The maximum length of the path of a Unix socket, in bytes (`sun_path`).
const LONGEST_TARGET: usize = 107;

impl Lint<'_> {
    pub(super) fn upstreams(&mut self) {
        for (name, listener) in self.document.listeners.iter() {
            let limits = &listener.limits;
            let given = [limits.queue.is_some(), limits.queue_timeout.is_some()];
            self.queue(&format!("listeners.{name}"), limits.concurrency, given);
        }
        for (name, upstream) in self.document.upstreams.iter() {
            for (index, target) in upstream.targets.iter().enumerate() {
                let path = format!("upstreams.{name}.targets[{index}].url");
                self.socket_path(&path, target.url.socket.as_deref(), LONGEST_TARGET, Code::INVALID_URL);
                let (folder, mut before) = (self.sources.absolute_folder(), upstream.targets.iter().take(index));
                let url = target.url.below(folder);
                if before.any(|other| other.url.below(folder).is_same(&url)) {
                    let help = "use `weight` to give it a larger share";
                    self.warning(Code::DUPLICATE_TARGET, &path, "this target is listed twice", help);
                }
            }
        }
    }

    pub(super) fn dns(&mut self) {
        let dns = &self.document.dns;
        if dns.min_ttl.get() > dns.max_ttl.get() {
            let (shortest, longest) = (dns.min_ttl, dns.max_ttl);
            let message = format!("`min_ttl` ({shortest}) is longer than `max_ttl` ({longest})");
            let help = format!("write `max_ttl: {shortest}` or longer, or a shorter `min_ttl`");
            let at = if self.sources.tree().holds("dns.min_ttl") { "dns.min_ttl" } else { "dns.max_ttl" };
            self.error(Code::OUT_OF_RANGE, at, message, help);
        }
    }

    /// Checks that what waits, waits for something.
    pub(super) fn queue(&mut self, at: &str, concurrency: Option<u32>, given: [bool; 2]) {
        let keys = ["queue", "queue_timeout"].into_iter().zip(given);
        for (key, _) in keys.filter(|(_, given)| *given && concurrency.is_none()) {
            let message = format!("`{key}` works only with `concurrency`");
            let help = "add the number of requests that may be in progress, such as `concurrency: 512`";
            self.error(Code::QUEUE, &format!("{at}.limits.{key}"), message, help);
        }
    }
}
