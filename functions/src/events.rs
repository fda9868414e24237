//! What queues, schedules and deployments bring, one module per function.

pub mod batch;
pub mod dispatcher;
pub mod enricher;
pub mod feedback;
pub mod hints;
pub mod importer;
pub mod inbound;
pub mod job_runner;
pub mod maintenance;
pub mod migrate;
pub mod scheduler;
pub mod sender;
