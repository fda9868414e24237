//! A store, a queue and organizations that import files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use shared::audience::imports::importing::{Importer, Progress};
use shared::audience::imports::{self, ColumnMapping, Import, ImportError, NewImport, Pace, Upload};
use shared::{Database, ImportId, ListId, OrganizationId, Result};
use testkit::{FakeImportQueue, FakeObjectStore, Scene};

/// One row a chunk.
pub(crate) const ROW_BY_ROW: Pace = Pace { rows: 1, bytes: usize::MAX, piece: 1 << 20 };
/// Everything in one chunk.
pub(crate) const AT_ONCE: Pace = Pace { rows: usize::MAX, bytes: usize::MAX, piece: 1 << 20 };

/// Where imports are made and worked on.
pub(crate) struct Desk {
    pub(crate) scene: Scene,
    pub(crate) store: Arc<FakeObjectStore>,
    pub(crate) queue: Arc<FakeImportQueue>,
    pub(crate) db: Database,
}

/// Everything that an import leaves in an organization, comparable over organizations.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: String,
    pub(crate) error_code: Option<String>,
    /// Total, created, updated, unchanged, failed.
    pub(crate) counts: [i64; 5],
    pub(crate) errors: Vec<ImportError>,
    pub(crate) contacts: Value,
    pub(crate) mapping: Option<Value>,
    pub(crate) encoding: Option<String>,
    pub(crate) error_file: Option<String>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let scene = Scene::new().await;
        let db = scene.db.app();
        Self { scene, store: Arc::default(), queue: Arc::default(), db }
    }

    pub(crate) fn importer(&self, pace: Pace) -> Importer {
        Importer { db: self.scene.db.app(), store: self.store.clone(), queue: self.queue.clone(), pace }
    }

    /// Makes an import and uploads its file.
    pub(crate) async fn upload(&self, organization: OrganizationId, new: NewImport, file: &[u8]) -> ImportId {
        let tx = self.db.begin(organization).await.unwrap();
        let (import, upload) = imports::create(&tx, &*self.store, new).await.unwrap();
        let Upload::Whole(put) = upload else { panic!("a small file in parts") };
        tx.commit().await.unwrap();
        let key = format!("uploads/{organization}/{}", import.id);
        assert_eq!(put.url, format!("https://uploads.example.test/{key}?size={SIZE}&expires=900"));
        self.store.upload(&key, file);
        import.id
    }

    pub(crate) async fn start(&self, organization: OrganizationId, id: ImportId) -> Result<Import> {
        self.start_with(organization, id, None).await
    }

    pub(crate) async fn start_with(
        &self,
        organization: OrganizationId,
        id: ImportId,
        mapping: Option<ColumnMapping>,
    ) -> Result<Import> {
        let tx = self.db.begin(organization).await?;
        let import = imports::start(&tx, &*self.store, &*self.queue, id, mapping).await?;
        tx.commit().await?;
        Ok(import)
    }

    /// Makes, uploads and starts an import.
    pub(crate) async fn started(&self, organization: OrganizationId, new: NewImport, file: &[u8]) -> ImportId {
        let id = self.upload(organization, new, file).await;
        self.start(organization, id).await.unwrap();
        id
    }

    /// Works through the queue until it is empty, a chunk a delivery.
    pub(crate) async fn work(&self, pace: Pace) -> usize {
        let importer = self.importer(pace);
        let mut deliveries = 0;
        while let Some((organization, id)) = self.queue.take() {
            importer.run(organization, id, Instant::now()).await.unwrap();
            deliveries += 1;
        }
        deliveries
    }

    /// Imports a file from beginning to end.
    pub(crate) async fn import(&self, organization: OrganizationId, new: NewImport, file: &[u8], pace: Pace) -> Import {
        let id = self.started(organization, new, file).await;
        let (_, hinted) = self.queue.take().unwrap();
        assert_eq!(hinted, id);
        let progress = self.importer(pace).run(organization, id, far()).await.unwrap();
        assert_eq!(progress, Progress::Ended);
        assert!(self.queue.is_empty());
        self.find(organization, id).await
    }

    pub(crate) async fn find(&self, organization: OrganizationId, id: ImportId) -> Import {
        let tx = self.db.begin(organization).await.unwrap();
        let import = imports::find(&tx, id).await.unwrap();
        tx.commit().await.unwrap();
        import
    }

    pub(crate) async fn errors(&self, organization: OrganizationId, id: ImportId) -> Vec<ImportError> {
        let tx = self.db.begin(organization).await.unwrap();
        let errors = imports::list_errors(&tx, id, None, 1_000_000).await.unwrap();
        tx.commit().await.unwrap();
        errors
    }

    /// Line and code of each row that failed.
    pub(crate) async fn codes(&self, organization: OrganizationId, id: ImportId) -> Vec<(i64, String)> {
        self.errors(organization, id).await.into_iter().map(|error| (error.line, error.code)).collect()
    }

    pub(crate) async fn outcome(&self, organization: OrganizationId, id: ImportId) -> Outcome {
        let import = self.find(organization, id).await;
        assert_eq!(
            self.scene.number("select count(*) from import_matches where import_batch_id = $1", &[&id]).await,
            0,
            "an import that has ended remembers nothing"
        );
        Outcome {
            counts: counts(&import),
            status: import.status,
            error_code: import.error_code,
            errors: self.errors(organization, id).await,
            contacts: self.contacts(organization, Some(id)).await,
            mapping: import.column_mapping,
            encoding: import.encoding,
            error_file: self.error_file(organization, id).await,
        }
    }

    /// The file of the rows that could not be taken in the latest run.
    pub(crate) async fn error_file(&self, organization: OrganizationId, id: ImportId) -> Option<String> {
        let sql = "select (extract(epoch from run_started_at) * 1000000)::bigint from import_batches where id = $1";
        let run = self.scene.number(sql, &[&id]).await;
        let file = self.store.object(&format!("errors/{organization}/{id}/{run}.csv"))?;
        Some(String::from_utf8(file).unwrap())
    }

    /// The organization's contacts by address, without ids and times.
    pub(crate) async fn contacts(&self, organization: OrganizationId, id: Option<ImportId>) -> Value {
        let sql = "select coalesce(jsonb_agg(jsonb_build_object(
                       'email', email, 'name', name, 'first_name', first_name, 'last_name', last_name, 'company', company,
                       'timezone', timezone, 'custom', custom, 'raw', raw_data, 'status', status, 'source', source,
                       'made', import_batch_id is not distinct from $2,
                       'lists', (select count(*) from list_members m where m.contact_id = c.id),
                       'tags', (select count(*) from contact_tags t where t.contact_id = c.id)) order by email_lower), '[]')
                     from contacts c where organization_id = $1";
        self.scene.rows(sql, &[&organization, &id]).await[0].get(0)
    }

    /// A list of the organization.
    pub(crate) async fn list(&self, organization: OrganizationId) -> ListId {
        let id = ListId::fresh();
        let sql = "insert into lists (organization_id, id, name) values ($1, $2, 'Imported')";
        self.scene.run(sql, &[&organization, &id]).await;
        id
    }
}

/// A deadline that no test reaches.
pub(crate) fn far() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

pub(crate) fn counts(import: &Import) -> [i64; 5] {
    [import.rows_total, import.rows_created, import.rows_updated, import.rows_unchanged, import.rows_failed]
}

/// Bytes that the store is told to take; the one of tests takes any.
const SIZE: u64 = 100;

/// A new import of a file without further wishes.
pub(crate) fn plain() -> NewImport {
    NewImport { file_name: "people.csv".to_owned(), size: SIZE, ..NewImport::default() }
}

pub(crate) fn mapping(columns: &[(&str, Option<&str>)]) -> ColumnMapping {
    let columns = columns.iter().map(|(name, target)| ((*name).to_owned(), target.map(str::to_owned)));
    ColumnMapping::parse(columns.collect()).unwrap()
}
