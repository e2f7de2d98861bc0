//! Resources that are their document and nothing else, templates and hooks: found, made, changed.

use http::HeaderMap;
use serde_json::Value;
use store::{Kind, Record};

use super::change::{begin, check_match, only, to_the_end};
use super::plan::Plan;
use super::{Api, Problem};

/// What is kept under a name.
pub(super) trait Document: Clone + PartialEq + Send + Sync + 'static {
    const KIND: Kind;
    /// As problems call it.
    const WORD: &'static str;

    fn accept(body: Value, current: Option<&Self>) -> Result<Self, Problem>;

    fn read(text: &str) -> Result<Self, Problem>;

    fn shown(&self, reveal: bool) -> Value;

    /// What keeping it makes of the configuration; `before` is what was kept.
    fn plan(
        &self,
        api: &Api,
        before: Option<&Record>,
    ) -> impl Future<Output = Result<Plan, Problem>> + Send;
}

pub(super) async fn record<T: Document>(api: &Api, name: &str) -> Result<Record, Problem> {
    let record = api.manager.store.get(T::KIND, name).await?;
    record.ok_or_else(|| Problem::not_found(T::WORD))
}

pub(super) async fn find<T: Document>(api: &Api, name: &str) -> Result<(Record, T), Problem> {
    let record = record::<T>(api, name).await?;
    let document = parsed(&record)?;
    Ok((record, document))
}

/// It was checked when it was kept, so what is wrong with it now is for the log.
pub(super) fn parsed<T: Document>(record: &Record) -> Result<T, Problem> {
    T::read(&record.config).map_err(|problem| {
        let ((template, hook), error) = (named::<T>(record), problem.detail);
        tracing::error!(template, hook, error, "unreadable in the database");
        Problem::internal()
    })
}

/// Its name, under the field that log lines of its kind have it in: `template` or `hook`.
fn named<T: Document>(record: &Record) -> (Option<&str>, Option<&str>) {
    let name = Some(record.name.as_str());
    match T::KIND {
        Kind::Hook => (None, name),
        _ => (name, None),
    }
}

pub(super) async fn create<T: Document>(api: Api, body: Value) -> Result<(Record, T), Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let document = T::accept(body, None)?;
        let record = put(&api, None, &document).await?;
        Ok((record, document))
    })
    .await
}

/// What is refused changes nothing; what changes nothing keeps its tag.
pub(super) async fn change<T: Document>(
    api: Api,
    name: String,
    headers: HeaderMap,
    edit: impl FnOnce(Option<Value>) -> Result<Value, Problem> + Send + 'static,
) -> Result<(Record, T), Problem> {
    to_the_end(async move {
        let _change = begin(&api).await?;
        let record = record::<T>(&api, &name).await?;
        let current = parsed::<T>(&record).ok();
        let current = current.as_ref();
        check_match(&headers, &record)?;
        let edited = edit(current.map(|current| current.shown(false)))?;
        let document = T::accept(edited, current)?;
        if Some(&document) == current {
            return Ok((record, document));
        }
        let record = put(&api, Some(&record), &document).await?;
        Ok((record, document))
    })
    .await
}

async fn put<T: Document>(
    api: &Api,
    before: Option<&Record>,
    document: &T,
) -> Result<Record, Problem> {
    let plan = document.plan(api, before).await?;
    let record = only(plan.carry_out(api).await?)?;
    let (template, hook) = named::<T>(&record);
    tracing::info!(template, hook, version = record.version, "kept");
    Ok(record)
}
