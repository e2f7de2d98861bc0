//! What OpenAPI says beyond what can be read off handlers and types: one body for all errors, the
//! answers that any request may get, one shape of a configuration for each method.

use std::borrow::Cow;

use http::StatusCode;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{
    AdditionalProperties, Object, ObjectBuilder, OneOfBuilder, Schema, Type,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, Ref, RefOr};
use utoipa::{Modify, PartialSchema, ToResponse, ToSchema};

use super::Problem;
use crate::model::{Hook, Input, Push, StreamConfig};

/// Whatever is asked.
const ANY: [StatusCode; 6] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];
/// Where something is sent.
const SENT: [StatusCode; 3] = [
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
];

/// Objects of a stream that a merge patch goes into.
const NESTED: [(&str, &str); 10] = [
    ("dash", "Dash"),
    ("failover", "Failover"),
    ("hls", "Hls"),
    ("labels", "Labels"),
    ("on_play", "Callback"),
    ("on_publish", "Callback"),
    ("publish", "Publish"),
    ("slate", "Slate"),
    ("transcode", "Transcode"),
    ("auto_publish", "AutoPublish"),
];

impl<'r> ToResponse<'r> for Problem {
    fn response() -> (&'r str, RefOr<Response>) {
        let schema = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new()
            .description("What went wrong (RFC 9457)")
            .content("application/problem+json", content);
        ("Problem", response.build().into())
    }
}

pub(super) struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// Adds the answers that no handler gives by itself, and the forms that only a merge patch has.
pub(super) fn complete(openapi: &mut OpenApi) {
    let schemas = &mut openapi.components.get_or_insert_default().schemas;
    for (_, name) in NESTED {
        if let Some(schema) = schemas.get(name).cloned() {
            schemas.insert(format!("{name}Patch"), edited(schema, patch));
        }
    }
    for (path, item) in &mut openapi.paths.paths {
        for operation in operations(item) {
            let sends = operation.request_body.is_some();
            let sent = SENT.iter().filter(|_| sends);
            let named = [StatusCode::NOT_FOUND].into_iter();
            let named = named.filter(|_| path.contains('{'));
            for status in ANY.iter().chain(sent).copied().chain(named) {
                let (name, _) = Problem::response();
                let answers = &mut operation.responses.responses;
                let answer = answers.entry(status.as_str().to_owned());
                answer.or_insert_with(|| Ref::from_response_name(name).into());
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ];
    all.into_iter().flatten()
}

/// A shape that differs from that of another type, by name.
macro_rules! variant {
    ($(#[$doc:meta])* $name:ident, $of:ty, $edit:expr) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                edited(<$of>::schema(), $edit)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$of>::schemas(schemas);
            }
        }
    };
}

variant!(
    /// A configuration, to which the server adds.
    StreamWritten,
    StreamConfig,
    |stream| stream.additional_properties = None
);
variant!(
    /// Its path names it, so the body need not.
    StreamUpdate,
    StreamConfig,
    |stream| stream.required.clear()
);
variant!(
    /// A merge patch: null removes.
    StreamPatch,
    StreamConfig,
    patch_stream
);
variant!(
    /// Its path names it, so the body need not.
    InputUpdate,
    Input,
    |input| input.required.retain(|name| name != "id")
);
variant!(
    /// A merge patch: null removes.
    InputPatch,
    Input,
    patch
);

variant!(
    /// Its path names it, so the body need not.
    PushUpdate,
    Push,
    |push| push.required.retain(|name| name != "id")
);
variant!(
    /// A merge patch: null removes.
    PushPatch,
    Push,
    patch
);

variant!(
    /// Parts of a stream, and how streams are made of it.
    TemplateWritten,
    StreamConfig,
    template
);
variant!(
    /// Its path names it, so the body need not.
    TemplateUpdate,
    StreamConfig,
    |stream| {
        template(stream);
        stream.required.clear();
    }
);
variant!(
    /// A merge patch: null removes.
    TemplatePatch,
    StreamConfig,
    |stream| {
        template(stream);
        patch_stream(stream);
    }
);
variant!(
    /// A hook, to which the server adds.
    HookWritten,
    Hook,
    |hook| hook.additional_properties = None
);
variant!(
    /// Its path names it, so the body need not.
    HookUpdate,
    Hook,
    |hook| hook.required.retain(|name| name != "id")
);
variant!(
    /// A merge patch: null removes.
    HookPatch,
    Hook,
    patch
);

fn template(stream: &mut Object) {
    stream.additional_properties = None;
    stream.properties.remove("template");
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(64))
        .pattern(Some("^[A-Za-z0-9_-]+$"));
    stream.properties.insert("name".to_owned(), name.into());
    let auto_publish = Ref::from_schema_name("AutoPublish");
    let either = OneOfBuilder::new().item(auto_publish).item(null());
    let property = "auto_publish".to_owned();
    stream.properties.insert(property, either.into());
}

fn edited(schema: RefOr<Schema>, edit: impl FnOnce(&mut Object)) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut object)) = schema else {
        return schema;
    };
    edit(&mut object);
    RefOr::T(Schema::Object(object))
}

/// To remove what is not there is no mistake (RFC 7396).
fn patch(object: &mut Object) {
    object.required.clear();
    let others = match object.additional_properties.as_deref() {
        Some(AdditionalProperties::RefOr(value)) => or_null(value.clone()),
        _ => null(),
    };
    object.additional_properties = Some(Box::new(AdditionalProperties::RefOr(others)));
}

fn patch_stream(stream: &mut Object) {
    patch(stream);
    for (property, name) in NESTED {
        if stream.properties.contains_key(property) {
            let nested = Ref::from_schema_name(format!("{name}Patch"));
            let property = property.to_owned();
            stream.properties.insert(property, or_null(nested.into()));
        }
    }
    for list in ["inputs", "push"] {
        if let Some(entries) = stream.properties.get_mut(list) {
            *entries = or_null(entries.clone());
        }
    }
}

fn or_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    let either = OneOfBuilder::new().item(schema).item(null());
    RefOr::T(Schema::OneOf(either.build()))
}

fn null() -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    RefOr::T(Schema::Object(null.build()))
}
