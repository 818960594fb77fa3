//! An exporter of one signal: a channel, and the resource that its items belong to.

use super::otlp::{Channel, ExportFailure, PartialRejection};
use super::receiver::Receiver;
use bytes::Bytes;
use gatewright_sdk::Fault;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::path::Path;

pub(super) struct Exporter {
    channel: Channel,
    resource: Resource,
    /// Where it sends to, without secrets.
    endpoint: String,
}

impl Exporter {
    /// It connects on the first send. Of several attributes with one name, the last wins.
    pub(super) fn new(receiver: &Receiver, attributes: &[(String, String)], folder: &Path) -> Result<Self, Fault> {
        let mut unique: Vec<KeyValue> = Vec::with_capacity(attributes.len());
        for (name, value) in attributes {
            unique.retain(|known| known.key != *name);
            unique.push(attribute(name.clone(), Value::StringValue(value.clone())));
        }
        let resource = Resource { attributes: unique, ..Resource::default() };
        // Its path may contain a token.
        let uri = receiver.endpoint.uri();
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let endpoint = format!("{}://{authority}", uri.scheme_str().unwrap_or("http"));
        Ok(Self { channel: Channel::new(receiver, folder)?, resource, endpoint })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn resource(&self) -> Resource {
        self.resource.clone()
    }

    /// Sends an encoded export request.
    pub(super) async fn send(&self, request: Bytes) -> Result<PartialRejection, ExportFailure> {
        self.channel.send(request).await
    }
}

/// The instrumentation scope: this program.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "gatewright".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

pub(super) fn attribute(key: String, value: Value) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
