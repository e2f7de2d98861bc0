//! How a configuration changes: read, edited, checked, saved, applied, one at a time.

use http::{HeaderMap, header};
use serde_json::Value;
use store::StreamRecord;
use tokio::sync::MutexGuard;
use tracing::Instrument as _;

use super::view::etag;
use super::{Api, Problem};
use crate::model::{self, StreamConfig};
use crate::runtime::{config_of, utc_ms};

/// A configuration as it is stored.
pub(super) type Stored = (StreamRecord, StreamConfig);

pub(super) async fn find(api: &Api, name: &str) -> Result<Stored, Problem> {
    let record = api.manager.store.get(name).await?;
    let record = record.ok_or_else(|| Problem::not_found("stream"))?;
    let config = config_of(&record).map_err(|error| {
        tracing::error!(stream = record.name, %error, "unreadable in the database");
        Problem::internal()
    })?;
    Ok((record, config))
}

pub(super) async fn create(api: Api, config: StreamConfig) -> Result<Stored, Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        check_cycle(&api, &config)?;
        let prepared = api.manager.prepare(&config).await?;
        let text = to_text(&config)?;
        let store = &api.manager.store;
        let saved = store.create(&config.name, &text, utc_ms()).await;
        let record = doubt(&api, saved)?;
        api.manager.apply(config.clone(), prepared).await;
        tracing::info!(stream = config.name, "created");
        Ok((record, config))
    })
    .await
}

fn check_cycle(api: &Api, config: &StreamConfig) -> Result<(), Problem> {
    if api.manager.would_cycle(config) {
        let why = "the stream would feed itself";
        return Err(Problem::invalid("stream_cycle", "inputs", why));
    }
    Ok(())
}

/// A database that did not answer may have made the change all the same.
fn doubt<T>(api: &Api, result: Result<T, store::Error>) -> Result<T, Problem> {
    if result.as_ref().is_err_and(store::Error::is_away) {
        api.manager.doubt();
    }
    Ok(result?)
}

/// One change at a time, and none once the server stops.
async fn begin(api: &Api) -> Result<MutexGuard<'_, ()>, Problem> {
    is_possible(api)?;
    let guard = api.manager.changes.lock().await;
    is_possible(api)?;
    Ok(guard)
}

/// While the database is known to be away nobody queues up to find that out anew.
pub(super) fn is_possible(api: &Api) -> Result<(), Problem> {
    if api.manager.is_stopping() {
        return Err(Problem::stopping());
    }
    if api.manager.ledger.is_away() {
        return Err(Problem::database());
    }
    Ok(())
}

/// What is refused changes nothing; what changes nothing keeps its tag.
pub(super) async fn change(
    api: Api,
    name: String,
    headers: HeaderMap,
    edit: impl FnOnce(Value) -> Result<Value, Problem> + Send + 'static,
) -> Result<Stored, Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let (record, current) = find(&api, &name).await?;
        check_match(&headers, &record)?;
        let edited = edit(model::shown(&current, false))?;
        let config = model::accept(edited, Some(&current))?;
        if config == current {
            return Ok((record, config));
        }
        check_cycle(&api, &config)?;
        let prepared = api.manager.prepare(&config).await?;
        let text = to_text(&config)?;
        let store = &api.manager.store;
        let saved = store
            .update(&name, &text, Some(record.version), utc_ms())
            .await;
        let record = doubt(&api, saved)?;
        api.manager.apply(config.clone(), prepared).await;
        tracing::info!(stream = name, version = record.version, "changed");
        Ok((record, config))
    })
    .await
}

pub(super) async fn remove(api: Api, name: String, headers: HeaderMap) -> Result<(), Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        // Even one that cannot be read can be removed.
        let record = api.manager.store.get(&name).await?;
        let record = record.ok_or_else(|| Problem::not_found("stream"))?;
        check_match(&headers, &record)?;
        let deleted = api.manager.store.delete(&name, Some(record.version)).await;
        doubt(&api, deleted)?;
        api.manager.remove(&name).await;
        tracing::info!(stream = name, "removed");
        Ok(())
    })
    .await
}

pub(super) async fn restart(api: Api, name: String) -> Result<(), Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        find(&api, &name).await?;
        let Some(stream) = api.manager.get(&name) else {
            return Err(disabled());
        };
        stream.restart().await;
        tracing::info!(stream = name, "restarted");
        Ok(())
    })
    .await
}

pub(super) fn disabled() -> Problem {
    let why = "the stream is disabled";
    Problem::new(http::StatusCode::CONFLICT, "stream_disabled", why)
}

/// A change that was begun is finished, even when its client hangs up.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let work = tokio::spawn(work.in_current_span());
    work.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "a change failed half-way");
        Err(Problem::internal())
    })
}

fn check_match(headers: &HeaderMap, record: &StreamRecord) -> Result<(), Problem> {
    let Some(wanted) = headers.get(header::IF_MATCH) else {
        return Ok(());
    };
    let tag = etag(record);
    let mut wanted = wanted
        .to_str()
        .unwrap_or_default()
        .split(',')
        .map(str::trim);
    let same = wanted.any(|t| t == "*" || t == tag);
    if same { Ok(()) } else { Err(Problem::stale()) }
}

fn to_text(config: &StreamConfig) -> Result<String, Problem> {
    serde_json::to_string(config).map_err(|error| {
        tracing::error!(stream = config.name, %error, "not to be written");
        Problem::internal()
    })
}
