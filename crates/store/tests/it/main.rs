//! The store against real databases: SQLite files, and a PostgreSQL of our own.

#![allow(clippy::unwrap_used)]

/// Every test named here runs on both engines.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::engine::Database::sqlite()).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::engine::Database::postgres()).await;
            })+
        }
    };
}

mod deliveries;
mod engine;
mod events;
mod files;
mod frozen;
mod migrating;
mod numbering;
mod opening;
mod resources;
mod retention;
mod tokens;
mod writes;
