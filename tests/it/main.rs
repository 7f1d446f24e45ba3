//! One integration test binary over all layers.
