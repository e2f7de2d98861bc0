//! What inputs and pushes have in common: entries of a list of a stream, each a resource by its id.
//! `ETag` and `If-Match` are the stream's.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::change::{Stored, change, editable, find, named};
use super::streams::{Shown, tagged};
use super::{Api, Problem};
use crate::model;

/// Which entry.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct EntryPath {
    /// The stream's; `%2F` stands for its slashes.
    #[param(pattern = "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length = 128)]
    name: String,
    #[param(pattern = "^[A-Za-z0-9_-]+$", max_length = 64)]
    id: String,
}

/// Of which list.
pub(super) struct List {
    /// The member that it is.
    pub(super) member: &'static str,
    /// One of them, in words.
    pub(super) one: &'static str,
    /// A key that is null says something: everybody may.
    pub(super) open_keys: bool,
}

impl List {
    pub(super) async fn read(
        &self,
        api: &Api,
        EntryPath { name, id }: EntryPath,
        shown: &Shown,
    ) -> Result<Response, Problem> {
        self.respond(&find(api, &name).await?, &id, shown)
    }

    pub(super) async fn replace(
        &'static self,
        api: Api,
        EntryPath { name, id }: EntryPath,
        (headers, body): (HeaderMap, Value),
        shown: &Shown,
    ) -> Result<Response, Problem> {
        let entry = named(body, "id", &id)?;
        let stream = find(&api, &name).await?.1.shown(false);
        let known = self.position(&stream, &id).is_some();
        let own = id.clone();
        let edit = move |stream| {
            let mut stream = editable(stream)?;
            *self.own(&mut stream, &own)? = entry;
            Ok(stream)
        };
        let stored = change(api, name, headers, edit).await?;
        let mut response = self.respond(&stored, &id, shown)?;
        if !known {
            *response.status_mut() = StatusCode::CREATED;
        }
        Ok(response)
    }

    pub(super) async fn patch(
        &'static self,
        api: Api,
        EntryPath { name, id }: EntryPath,
        (headers, patch): (HeaderMap, Value),
        shown: &Shown,
    ) -> Result<Response, Problem> {
        let own = id.clone();
        self.held(&find(&api, &name).await?, &id)?;
        let edit = move |stream| {
            let mut stream = editable(stream)?;
            let patch = named(patch, "id", &own)?;
            let entry = self.own(&mut stream, &own)?;
            model::merge(entry, &patch);
            // In a merge patch null removes, and a key that is not there is one that is kept.
            if self.open_keys && patch.get("key").is_some_and(Value::is_null) {
                entry["key"] = Value::Null;
            }
            Ok(stream)
        };
        self.respond(&change(api, name, headers, edit).await?, &id, shown)
    }

    pub(super) async fn remove(
        &'static self,
        api: Api,
        EntryPath { name, id }: EntryPath,
        headers: HeaderMap,
    ) -> Result<StatusCode, Problem> {
        let inherits = self.held(&find(&api, &name).await?, &id).is_ok();
        let edit = move |stream| {
            let mut stream = editable(stream)?;
            let Some(at) = self.position(&stream, &id) else {
                return Err(self.absent(inherits));
            };
            if let Some(entries) = stream[self.member].as_array_mut() {
                entries.remove(at);
            }
            Ok(stream)
        };
        change(api, name, headers, edit).await?;
        Ok(StatusCode::NO_CONTENT)
    }

    /// Whether what holds has it.
    fn held(&self, (_, definition): &Stored, id: &str) -> Result<(), Problem> {
        let held = self.position(&definition.effective(false), id);
        held.map(drop).ok_or_else(|| Problem::not_found(self.one))
    }

    fn absent(&self, inherits: bool) -> Problem {
        if inherits {
            let why = "the template has it: switch it off with \"enabled\": false";
            let code = format!("{}_inherited", self.one);
            return Problem::new(StatusCode::CONFLICT, &code, why);
        }
        Problem::not_found(self.one)
    }

    /// As it is written, or as the template has it.
    fn respond(
        &self,
        (record, definition): &Stored,
        id: &str,
        shown: &Shown,
    ) -> Result<Response, Problem> {
        let all = [
            definition.shown(shown.reveal),
            definition.effective(shown.reveal),
        ];
        let entry = all
            .iter()
            .find_map(|stream| Some(&stream[self.member][self.position(stream, id)?]));
        let entry = entry.ok_or_else(|| Problem::not_found(self.one))?;
        Ok(tagged(Json(entry).into_response(), record))
    }

    fn position(&self, stream: &Value, id: &str) -> Option<usize> {
        let entries = stream[self.member].as_array();
        entries.and_then(|all| all.iter().position(|entry| entry["id"] == id))
    }

    /// What the stream itself says of an entry; made where it says nothing.
    fn own<'a>(&self, stream: &'a mut Value, id: &str) -> Result<&'a mut Value, Problem> {
        let at = self.position(stream, id);
        if !stream[self.member].is_array() {
            stream[self.member] = json!([]);
        }
        let entries = stream[self.member].as_array_mut();
        let entries = entries.ok_or_else(Problem::internal)?;
        let at = at.unwrap_or_else(|| {
            entries.push(json!({"id": id}));
            entries.len() - 1
        });
        entries.get_mut(at).ok_or_else(Problem::internal)
    }
}
