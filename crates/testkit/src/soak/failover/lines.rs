//! Two links to where encoders are.

use crate::link::{Link, Namespace};

pub(super) struct Lines {
    pub(super) links: [Link; 2],
    pub(super) namespace: Namespace,
}

impl Lines {
    pub(super) async fn lay() -> anyhow::Result<Self> {
        let namespace = Namespace::new().await?;
        let links = [
            Link::lay(&namespace, 0, 1).await?,
            Link::lay(&namespace, 1, 3).await?,
        ];
        Ok(Self { links, namespace })
    }
}
