//! Several resources that refer to each other, in one store.

use super::*;
use crate::config::named::Named;
use crate::resource::model::others::Others;
use crate::resource::model::served::Served;
use crate::resource::store::By;

/// The resources of one document, by name, all in the same store.
pub struct World {
    apis: Vec<(String, Api)>,
    inner: Vec<Arc<super::super::Api>>,
    pub models: Vec<(String, Arc<Model>)>,
    pub store: Arc<Store>,
}

/// The models of a document.
pub fn models(yaml: &str, url: &str) -> Vec<(String, Arc<Model>)> {
    let resources: Named<Resource> = serde_yaml::from_str(yaml).unwrap();
    let dialect = if url.starts_with("postgres") { Dialect::Postgres } else { Dialect::Sqlite };
    let compiled = resources.iter().map(|(name, spec)| {
        let model =
            model::compile((name, spec), Others { resources: &resources, served: &Served::default() }, dialect, false);
        (name.to_owned(), Arc::new(model.unwrap_or_else(|faults| panic!("{faults:?}"))))
    });
    compiled.collect()
}

pub async fn world(yaml: &str) -> World {
    world_at(yaml, &url().await).await.unwrap()
}

/// The same at a URL, or why its tables cannot be made.
pub async fn world_at(yaml: &str, url: &str) -> Result<World, Vec<crate::resource::store::RefusedTable>> {
    let store = Arc::new(Store::new(&url.parse().unwrap()).unwrap());
    world_in(yaml, url, store).await
}

pub async fn world_in(
    yaml: &str,
    url: &str,
    store: Arc<Store>,
) -> Result<World, Vec<crate::resource::store::RefusedTable>> {
    let models = models(yaml, url);
    let tables: Vec<_> = models.iter().flat_map(|(_, model)| tables_of(model)).collect();
    store.plan(&tables, &By::default()).await?;
    store.prepare(&tables).await?;
    let (mut apis, mut inner) = (Vec::new(), Vec::new());
    for (name, model) in &models {
        let statements = Arc::new(Statements::new(&store, "main", &model.table.name));
        let hasher = Arc::new(Hasher::new());
        let api = super::super::api(Arc::clone(model), Arc::clone(&store), hasher, statements, &models);
        let served = Api {
            service: super::super::service(&api, &format!("/api/{name}")),
            store: Arc::clone(&store),
            path: format!("/api/{name}"),
            fixed: Vec::new(),
            described: Described::among(model, &models, None),
        };
        apis.push((name.clone(), served));
        inner.push(api);
    }
    Ok(World { apis, inner, models, store })
}

impl World {
    pub fn of(&self, name: &str) -> &Api {
        &self.apis.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// The items of `name` below the item of `parents` with this id.
    pub fn under(&self, parents: &str, id: &str, name: &str, field: &str) -> Api {
        let at = self.models.iter().position(|(known, _)| known == name).unwrap();
        let model = &self.models[at].1;
        Api {
            service: super::super::service_under(&self.inner[at], &format!("/api/{parents}/{id}/{name}"), field),
            store: Arc::clone(&self.store),
            path: format!("/api/{parents}/{id}/{name}"),
            fixed: vec![(field.into(), id.into())],
            described: Described::among(model, &self.models, Some(field)),
        }
    }

    /// Runs a statement as another program would.
    pub async fn run(&self, sql: &str) {
        let sql = crate::resource::store::Sql::new(sql, []);
        self.store.execute(std::time::Duration::from_secs(20), sql).await.unwrap();
    }

    /// How many rows a statement counts.
    pub async fn count(&self, sql: &str) -> i64 {
        let statement = crate::resource::store::Statement {
            sql: sql.into(),
            parameters: Vec::new(),
            deadline: std::time::Duration::from_secs(20),
        };
        let count = self.store.query(statement, |rows| Ok(rows.next()?.map(|row| row.cell(0).owned()))).await.unwrap();
        match count {
            Some(Param::Integer(count)) => count,
            other => panic!("{other:?}"),
        }
    }
}

impl Answer {
    pub fn id(&self) -> String {
        assert!(self.status.is_success(), "{}", self.body);
        self.json()["id"].as_str().map_or_else(|| self.json()["id"].to_string(), str::to_owned)
    }

    /// Status, field and code of the first detail.
    pub fn fault(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |key: &str| json["details"][0][key].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), text("field"), text("code"))
    }
}
