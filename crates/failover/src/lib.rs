//! Keeps a stream on its best input and splices inputs into one unbroken programme.
