//! How a configuration changes: read, edited, checked, saved, applied, one at a time.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use store::{Kind, Record};
use tokio::sync::MutexGuard;
use tracing::Instrument as _;

use super::plan::Plan;
use super::view::etag;
use super::{Api, Problem};
use crate::events::{Event, StopReason};
use crate::model::{self, Definition};
use crate::runtime::Stream;

/// A stream as it is kept, and what that says.
pub(super) type Stored = (Record, Definition);

/// One stream, whoever made it.
pub(super) async fn find(api: &Api, name: &str) -> Result<Stored, Problem> {
    if let Some(record) = api.manager.store.get(Kind::Stream, name).await? {
        let found = api.manager.definition_of(&record);
        return Ok((record, found.ok_or_else(Problem::internal)?));
    }
    let born = api.manager.born(name);
    let born = born.ok_or_else(|| Problem::not_found("stream"))?;
    let definition = born.definition().clone();
    Ok((unsaved(&definition, born.at_ms), definition))
}

/// How one looks that is in no store.
pub(super) fn unsaved(definition: &Definition, at_ms: i64) -> Record {
    Record {
        name: definition.name().to_owned(),
        config: definition.text(),
        version: 0,
        created_ms: at_ms,
        updated_ms: at_ms,
    }
}

/// One that can be changed; `None` where what is kept cannot be read.
async fn find_kept(api: &Api, name: &str) -> Result<(Record, Option<Definition>), Problem> {
    if let Some(record) = api.manager.store.get(Kind::Stream, name).await? {
        let found = api.manager.definition_of(&record);
        return Ok((record, found));
    }
    find(api, name).await?;
    let why = "an encoder made it of a template: promote it, and it can be changed";
    Err(Problem::new(StatusCode::CONFLICT, "stream_is_runtime", why))
}

/// What is to be edited. What cannot be read can only be replaced.
pub(super) fn editable(shown: Option<Value>) -> Result<Value, Problem> {
    let why = "what is kept cannot be read: replace it (PUT)";
    let unreadable = || Problem::new(StatusCode::CONFLICT, "unreadable", why);
    shown.ok_or_else(unreadable)
}

/// What is sent, instead of what was kept.
pub(super) fn replacing(
    body: Value,
    member: &'static str,
    name: &str,
) -> impl FnOnce(Option<Value>) -> Result<Value, Problem> + Send + use<> {
    let name = name.to_owned();
    move |_| named(body, member, &name)
}

/// What is kept, with a patch merged into it (RFC 7396).
pub(super) fn merging(
    patch: Value,
    member: &'static str,
    name: &str,
) -> impl FnOnce(Option<Value>) -> Result<Value, Problem> + Send + use<> {
    let name = name.to_owned();
    move |kept| {
        let mut kept = editable(kept)?;
        model::merge(&mut kept, &named(patch, member, &name)?);
        Ok(kept)
    }
}

pub(super) async fn create(api: Api, body: Value) -> Result<Stored, Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let stream = Definition::accept(body, None, &api.manager.templates())?;
        let mut plan = Plan::default();
        plan.create_stream(stream.clone());
        let record = only(plan.carry_out(&api).await?)?;
        tracing::info!(stream = record.name, "created");
        Ok((record, stream))
    })
    .await
}

/// What one write answers.
pub(super) fn only(records: Vec<Option<Record>>) -> Result<Record, Problem> {
    let mut records = records.into_iter().flatten();
    records.next().ok_or_else(Problem::internal)
}

/// A database that did not answer may have made the change all the same.
pub(super) fn doubt<T>(api: &Api, result: Result<T, store::Error>) -> Result<T, Problem> {
    if result.as_ref().is_err_and(store::Error::is_away) {
        api.manager.doubt();
    }
    Ok(result?)
}

/// One change at a time, and none once the server stops.
pub(super) async fn begin(api: &Api) -> Result<MutexGuard<'_, ()>, Problem> {
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
    edit: impl FnOnce(Option<Value>) -> Result<Value, Problem> + Send + 'static,
) -> Result<Stored, Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let (record, current) = find_kept(&api, &name).await?;
        check_match(&headers, &record)?;
        let current = current.as_ref();
        let edited = edit(current.map(|current| current.shown(false)))?;
        let stream = Definition::accept(edited, current, &api.manager.templates())?;
        if Some(&stream) == current {
            return Ok((record, stream));
        }
        let mut plan = Plan::default();
        plan.update_stream(&record, current, stream.clone());
        let record = only(plan.carry_out(&api).await?)?;
        tracing::info!(stream = name, version = record.version, "changed");
        Ok((record, stream))
    })
    .await
}

pub(super) async fn remove(api: Api, name: String, headers: HeaderMap) -> Result<(), Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        // Even one that cannot be read can be removed.
        let Some(record) = api.manager.store.get(Kind::Stream, &name).await? else {
            return remove_born(&api, &name).await;
        };
        check_match(&headers, &record)?;
        let mut plan = Plan::default();
        plan.remove_stream(&record);
        plan.carry_out(&api).await?;
        tracing::info!(stream = name, "removed");
        Ok(())
    })
    .await
}

/// It comes again when its encoder does.
async fn remove_born(api: &Api, name: &str) -> Result<(), Problem> {
    if api.manager.born(name).is_none() {
        return Err(Problem::not_found("stream"));
    }
    api.manager.remove(name, StopReason::Deleted).await;
    api.manager.events.tell(name, &Event::StreamDeleted {});
    tracing::info!(stream = name, "removed");
    Ok(())
}

/// Keeps a stream that an encoder made. Nobody notices.
pub(super) async fn promote(api: Api, name: String) -> Result<Stored, Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let Some(born) = api.manager.born(&name) else {
            find(&api, &name).await?;
            let why = "it is kept already";
            return Err(Problem::new(StatusCode::CONFLICT, "stream_is_kept", why));
        };
        let stream = born.definition().clone();
        let mut plan = Plan::default();
        plan.create_stream(stream.clone());
        let record = only(plan.carry_out(&api).await?)?;
        let template = born.template().to_owned();
        let told = Event::StreamPromoted { template };
        api.manager.events.tell(&name, &told);
        tracing::info!(stream = name, "promoted");
        Ok((record, stream))
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
        api.manager.events.tell(&name, &Event::StreamRestarted {});
        tracing::info!(stream = name, "restarted");
        Ok(())
    })
    .await
}

/// What runs of a stream.
pub(super) async fn running(api: &Api, name: &str) -> Result<Arc<Stream>, Problem> {
    if let Some(stream) = api.manager.get(name) {
        return Ok(stream);
    }
    find(api, name).await?;
    Err(disabled())
}

fn disabled() -> Problem {
    let why = "the stream is disabled";
    Problem::new(StatusCode::CONFLICT, "stream_disabled", why)
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

pub(super) fn check_match(headers: &HeaderMap, record: &Record) -> Result<(), Problem> {
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

/// A resource keeps what it is called; its path says it, so the body need not.
pub(super) fn named(mut body: Value, member: &str, name: &str) -> Result<Value, Problem> {
    let members = body
        .as_object_mut()
        .ok_or_else(|| Problem::not_an_object(""))?;
    let given = members.entry(member).or_insert_with(|| json!(name));
    if given != name {
        let code = format!("{member}_fixed");
        let why = format!("the {member} stays as it is");
        return Err(Problem::invalid(&code, member, &why));
    }
    Ok(body)
}
