//! `GET /api/v1/streams`: pages of streams, by name.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use store::Kind;
use utoipa::ToSchema;

use super::change::{Stored, unsaved};
use super::extract::{Asked, bad_query, page_limit};
use super::view::{Authority, Page, Viewer};
use super::{Api, Problem};
use crate::model::StreamConfig;
use crate::runtime::Status;

/// Filters that the store cannot answer are applied to batches of so many.
const BATCH: u32 = 200;

/// What a list may be asked for.
#[derive(Debug, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Listed {
    /// Names that begin with this.
    #[serde(default)]
    prefix: String,
    /// `name=value` of a label.
    #[param(pattern = "=")]
    label: Option<String>,
    /// What it is doing.
    status: Option<Status>,
    /// At most so many, 1..=1000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

struct Filter {
    label: Option<(String, String)>,
    status: Option<Status>,
}

impl Listed {
    fn filter(&self) -> Result<Filter, Problem> {
        let pair = self.label.as_deref().map(|label| {
            let pair = label.split_once('=');
            pair.ok_or_else(|| bad_query("label is name=value"))
        });
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(Filter {
            label: pair.transpose()?.map(own),
            status: self.status,
        })
    }
}

impl Filter {
    fn admits(&self, api: &Api, config: &StreamConfig) -> bool {
        let label = self.label.as_ref().is_none_or(|(name, value)| {
            let labels = config.labels.as_ref();
            labels.and_then(|l| l.get(name)).is_some_and(|v| v == value)
        });
        let status = self.status.is_none_or(|wanted| {
            let running = api.manager.get(&config.name);
            running.map_or(Status::Disabled, |s| s.status()) == wanted
        });
        label && status
    }
}

/// All streams, by name.
#[utoipa::path(get, path = "/streams", operation_id = "list_streams", tag = "streams", params(Listed), responses(
    (status = 200, body = Page)))]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(asked): Asked<Listed>,
    authority: Authority,
) -> Result<Json<Page>, Problem> {
    let (limit, filter) = (page_limit(asked.limit)?, asked.filter()?);
    let viewer = Viewer {
        authority,
        reveal: false,
    };
    let mut found: Vec<Stored> = Vec::new();
    let start = asked.cursor;
    let mut after = start.clone();
    // One more than wanted tells whether there is a next page.
    while found.len() <= limit {
        let store = &api.manager.store;
        let records = store.list(Kind::Stream, after.as_deref(), &asked.prefix, BATCH);
        let records = records.await?;
        let complete = records.len() < BATCH as usize;
        after = records.last().map(|r| r.name.clone());
        // One that cannot be read must not hide the others.
        let readable = records.into_iter().filter_map(|record| {
            let definition = api.manager.definition_of(&record)?;
            Some((record, definition))
        });
        found.extend(readable.filter(|(_, d)| filter.admits(&api, d.config())));
        if complete {
            break;
        }
    }
    let born = born(&api, start.as_deref().unwrap_or_default(), &asked.prefix);
    found.extend(born.filter(|(_, d)| filter.admits(&api, d.config())));
    found.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(r, _)| r.name.clone());
    let shown = found.iter().map(|(r, d)| viewer.stream(&api.manager, r, d));
    Ok(Json(Page {
        items: shown.collect(),
        next,
    }))
}

/// Those that encoders made.
fn born(api: &Api, after: &str, prefix: &str) -> impl Iterator<Item = Stored> {
    let all = api.manager.all_born().into_iter();
    let named = all.map(|born| {
        let definition = born.definition().clone();
        (unsaved(&definition, born.at_ms), definition)
    });
    named.filter(move |(record, _)| record.name.as_str() > after && record.name.starts_with(prefix))
}
