//! The synchronisation that the model checker replaces: `RUSTFLAGS="--cfg shuttle"` runs the same
//! code under every interleaving it can find.

#[cfg(not(shuttle))]
pub(crate) use parking_lot::Mutex;

#[cfg(shuttle)]
pub(crate) use model::Mutex;

#[cfg(shuttle)]
mod model {
    use std::ops::{Deref, DerefMut};

    /// shuttle's mutex with the face of `parking_lot`'s.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> impl DerefMut<Target = T> + Deref<Target = T> + '_ {
            self.0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}
