//! The formats in the schema: what each accepts, and the faults of other texts.

use crate::config::document::address::{ListenAddress, TcpAddress};
use crate::config::document::cookie_name::CookieName;
use crate::config::document::dns::DnsServer;
use crate::config::document::field_name::FieldName;
use crate::config::document::fields::FieldValue;
use crate::config::document::host::{HostName, HostPattern};
use crate::config::document::path_to::PathTo;
use crate::config::document::percent::Percent;
use crate::config::document::receiver_url::ReceiverUrl;
use crate::config::document::redirect_to::RedirectTo;
use crate::config::document::route::RetryOn;
use crate::config::document::server_url::ServerUrl;
use crate::config::document::socket_mode::SocketMode;
use crate::config::document::store_url::StoreUrl;
use crate::config::document::trusted_proxy::TrustedProxy;
use crate::config::document::upgrade::UpgradeProtocol;
use crate::config::document::upstream::{HashKey, HostPolicy};
use crate::path::{OwnPath, PathPrefix, PathTemplate};
use gatewright_sdk::{
    ByteSize, ClientNetwork, Condition, Fault, HumanDuration, RequestMethod, TextExpression, Written,
};
use serde_json::Value as Json;

/// A format.
pub struct Format {
    name: &'static str,
    /// What is wrong with a text, and how to fix it.
    pub check: fn(&str) -> Result<(), Fault>,
    /// See [`Written::STAND_IN`].
    pub stand_in: Option<&'static str>,
}

static ALL: [Format; 29] = [
    Format::of::<PathTemplate>(),
    Format::of::<HumanDuration>(),
    Format::of::<ByteSize>(),
    Format::of::<PathPrefix>(),
    Format::of::<HostPattern>(),
    Format::of::<HostName>(),
    Format::of::<RequestMethod>(),
    Format::of::<Condition>(),
    Format::of::<TextExpression>(),
    Format::of::<ServerUrl>(),
    Format::of::<FieldName>(),
    Format::of::<TrustedProxy>(),
    Format::of::<ClientNetwork>(),
    Format::of::<SocketMode>(),
    Format::of::<ListenAddress>(),
    Format::of::<TcpAddress>(),
    Format::of::<StoreUrl>(),
    Format::of::<OwnPath>(),
    Format::of::<FieldValue>(),
    Format::of::<ReceiverUrl>(),
    Format::of::<RedirectTo>(),
    Format::of::<HashKey>(),
    Format::of::<Percent>(),
    Format::of::<RetryOn>(),
    Format::of::<UpgradeProtocol>(),
    Format::of::<CookieName>(),
    Format::of::<DnsServer>(),
    Format::of::<PathTo>(),
    Format::of::<HostPolicy>(),
];

impl Format {
    const fn of<T: Written>() -> Self {
        Self { name: T::FORMAT, check: |text| text.parse::<T>().map(drop), stand_in: T::STAND_IN }
    }

    /// The format of the texts that `schema` describes, if any. Standard formats of JSON Schema are not included.
    pub fn named_by(schema: &Json) -> Option<&'static Self> {
        let name = schema.get("format")?.as_str()?;
        ALL.iter().find(|format| format.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::ConfigSchema;
    use gatewright_sdk::NamedFile;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Number formats written by schemars; the mark of secrets; and files, which are read but not checked here.
    const OTHERS: [&str; 7] = ["uint8", "uint16", "uint32", "uint64", "double", "password", NamedFile::FORMAT];

    fn named<'a>(schema: &'a Json, found: &mut BTreeSet<&'a str>) {
        match schema {
            Json::Object(object) => {
                found.extend(object.get("format").and_then(Json::as_str));
                object.values().for_each(|value| named(value, found));
            }
            Json::Array(items) => items.iter().for_each(|item| named(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_format_of_the_schema_is_judged_and_every_other_is_known() {
        let schema = ConfigSchema::new(gatewright_plugins::ALL.iter().copied());
        let mut found = BTreeSet::new();
        named(schema.root(), &mut found);
        let judged: BTreeSet<_> = ALL.iter().map(|format| format.name).collect();
        assert_eq!(judged.len(), ALL.len(), "a name stands for one format");
        assert!(judged.is_subset(&found), "no setting has these: {:?}", judged.difference(&found));
        let strange: Vec<_> = found.difference(&judged).filter(|name| !OTHERS.contains(name)).collect();
        assert!(strange.is_empty(), "no type in the table reads these: {strange:?}");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_format_panic(text in "\\PC{0,40}|[/:.%{}*@?#0-9a-fx\\[\\]-]{0,30}|(sqlite|https?|unix):(//)?[a%é:@/]{0,9}") {
            ALL.iter().for_each(|format| drop((format.check)(&text)));
        }
    }

    #[test]
    fn what_stands_in_is_in_order() {
        for Format { name, check, stand_in } in &ALL {
            assert!(stand_in.is_none_or(|text| check(text).is_ok()), "{name}");
        }
    }

    #[test]
    fn each_fault_says_the_way_out_in_the_voice_of_the_house() {
        for Format { name, check, .. } in &ALL {
            for text in ["", "\u{1}", "no such thing", "é", "http://a:b@c/d?e#f", "$%&/()=?", "-1"] {
                let Err(fault) = check(text) else { continue };
                assert!(fault.path.is_empty() && fault.help.is_some(), "{name}: {fault}");
                assert!(!fault.message.ends_with('.') && !fault.message.starts_with(char::is_uppercase), "{fault}");
                assert!(!fault.message.contains('\u{1}'), "{name} prints what could move a cursor");
            }
        }
    }
}
