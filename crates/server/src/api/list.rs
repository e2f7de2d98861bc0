//! `GET /api/v1/streams`: pages of streams, by name.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use store::StreamRecord;
use utoipa::ToSchema;

use super::extract::{Asked, bad_query};
use super::view::{Authority, Page, Viewer};
use super::{Api, Problem};
use crate::model::StreamConfig;
use crate::runtime::{Status, config_of};

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
    fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(100);
        if (1..=1000).contains(&limit) {
            return Ok(limit);
        }
        Err(bad_query("limit is 1..=1000"))
    }

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
    let (limit, filter) = (asked.limit()?, asked.filter()?);
    let viewer = Viewer {
        authority,
        reveal: false,
    };
    let mut found: Vec<(StreamRecord, StreamConfig)> = Vec::new();
    let mut after = asked.cursor;
    // One more than wanted tells whether there is a next page.
    while found.len() <= limit {
        let records = api
            .manager
            .store
            .list(after.as_deref(), &asked.prefix, BATCH)
            .await?;
        let complete = records.len() < BATCH as usize;
        after = records.last().map(|r| r.name.clone());
        let readable = records.into_iter().filter_map(read);
        found.extend(readable.filter(|(_, config)| filter.admits(&api, config)));
        if complete {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(r, _)| r.name.clone());
    let shown = found.iter().map(|(r, c)| viewer.stream(&api.manager, r, c));
    Ok(Json(Page {
        items: shown.collect(),
        next,
    }))
}

/// One that cannot be read must not hide the others.
fn read(record: StreamRecord) -> Option<(StreamRecord, StreamConfig)> {
    match config_of(&record) {
        Ok(config) => Some((record, config)),
        Err(error) => {
            tracing::error!(stream = record.name, %error, "unreadable in the database");
            None
        }
    }
}
