//! Forms that the description of the API knows, and no type of ours: texts with bounds.

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// How a key is written or shown.
pub(crate) struct KeyForm;

/// Words of the operator.
pub(crate) struct Labels;

impl ToSchema for KeyForm {}
impl ToSchema for Labels {}

impl PartialSchema for KeyForm {
    fn schema() -> RefOr<Schema> {
        read(json!({
            "description": "How a key is written or shown.",
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
                }
            ]
        }))
    }
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
