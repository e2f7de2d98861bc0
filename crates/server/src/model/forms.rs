//! Forms that the description of the API knows, and no type of ours: texts with bounds.

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// How a secret is written or shown.
pub(crate) struct SecretForm;

/// How the URL of an input is.
pub(crate) struct UrlForm;

/// How the URL of a push is.
pub(crate) struct DestinationForm;

/// How the URL of a callback is.
pub(crate) struct CallbackUrl;

/// How the URL of a hook is.
pub(crate) struct HookUrl;

/// What is sent along.
pub(crate) struct Words;

/// Words of the operator.
pub(crate) struct Labels;

impl ToSchema for SecretForm {}
impl ToSchema for UrlForm {}
impl ToSchema for DestinationForm {}
impl ToSchema for CallbackUrl {}
impl ToSchema for HookUrl {}
impl ToSchema for Words {}
impl ToSchema for Labels {}

impl PartialSchema for SecretForm {
    fn schema() -> RefOr<Schema> {
        read(json!({
            "description": "How a secret is written or shown.",
            "oneOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 256,
                    "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$"
                },
                {
                    "type": "object",
                    "description": "What is shown for it, and what keeps it.",
                    "required": ["set"],
                    "properties": {"set": {"type": "boolean", "enum": [true]}},
                    "additionalProperties": false
                },
                from_environment()
            ]
        }))
    }
}

impl PartialSchema for UrlForm {
    fn schema() -> RefOr<Schema> {
        read(json!({
            "description": "Where media comes from.",
            "oneOf": [
                {
                    "type": "string",
                    "examples": ["publish://"],
                    "maxLength": 2048,
                    "pattern": "^(publish://$|(rtmps?|https?|file|stream)://.+)"
                },
                from_environment()
            ]
        }))
    }
}

impl PartialSchema for DestinationForm {
    fn schema() -> RefOr<Schema> {
        read(json!({
            "description": "Where it is pushed to.",
            "oneOf": [
                {
                    "type": "string",
                    "examples": ["rtmp://cdn/app"],
                    "maxLength": 2048,
                    "pattern": "^(rtmps?|srt)://.+"
                },
                from_environment()
            ]
        }))
    }
}

impl PartialSchema for CallbackUrl {
    fn schema() -> RefOr<Schema> {
        read(json!({
            "description": "Where it is asked. A password and the query read `***`.",
            "oneOf": [
                {"type": "string", "maxLength": 2048, "pattern": "^https?://.+"},
                from_environment()
            ]
        }))
    }
}

impl PartialSchema for HookUrl {
    fn schema() -> RefOr<Schema> {
        read(json!({
            "description": "Where events go. A password and the query read `***`.",
            "oneOf": [
                {"type": "string", "maxLength": 2048, "pattern": "^(https?|file)://.+"},
                from_environment()
            ]
        }))
    }
}

impl PartialSchema for Words {
    fn schema() -> RefOr<Schema> {
        read(json!({
            "type": "object",
            "maxProperties": 32,
            "propertyNames": {"type": "string", "minLength": 1, "maxLength": 128},
            "additionalProperties": {"type": "string", "maxLength": 1024}
        }))
    }
}

fn from_environment() -> Value {
    json!({
        "type": "object",
        "description": "The environment variable of the server that holds it.",
        "required": ["env"],
        "properties": {"env": {"type": "string", "maxLength": 128, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
        "additionalProperties": false
    })
}

impl PartialSchema for Labels {
    fn schema() -> RefOr<Schema> {
        read(json!({
            "type": "object",
            "maxProperties": 32,
            "propertyNames": {"type": "string", "minLength": 1, "maxLength": 128},
            "additionalProperties": {"type": "string", "maxLength": 128}
        }))
    }
}

fn read(form: Value) -> RefOr<Schema> {
    serde_json::from_value(form).expect("a schema")
}
