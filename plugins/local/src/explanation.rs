//! The answer to `explain`: the inputs and the background as a table, a deployed model that predicts rows of it, and
//! what comes of both.

use std::sync::{Arc, OnceLock};

use mlflow_deploy_plugin_api::{Config, Error, JSON, Payload, Result, blocking};
use mlflow_deploy_scoring as scoring;
use mlflow_deploy_shapley::{Attribution, Model};
use ndarray::{Array2, Axis, concatenate};

use crate::deployed::Deployed;
use crate::explain::{Document, Explained, Settings, Table};

/// Explains what a model predicts for the inputs.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where the config, the inputs or the background are not right, or the model cannot be
/// explained; else what the model says.
pub(crate) async fn explain(deployed: Arc<Deployed>, config: &Config, inputs: Payload) -> Result<Payload> {
    let settings = Settings::new(config)?;
    let reader = Arc::clone(&deployed);
    let (settings, table) = blocking(move || {
        let table = table(&reader, &settings, &inputs)?;
        Ok((settings, table))
    })
    .await?;
    let feature_names = feature_names(&table, settings.feature_names.as_deref())?;
    let method = settings.method(feature_names.len(), table.background())?;
    let asked = Asked { deployed, table: Arc::new(table), output: settings.output.as_deref(), names: OnceLock::new() };
    let attribution = Attribution::of(&asked, &method).await?;
    let (output, output_names) = asked.names.into_inner().unwrap_or_default();
    Payload::from_json(&Document {
        method: method.name(),
        permutations: method.permutations(),
        background_rows: asked.table.background(),
        output,
        output_names,
        feature_names,
        numbers: attribution.into(),
        data: asked.table.data(),
    })
}

fn table(deployed: &Deployed, settings: &Settings, inputs: &Payload) -> Result<Table> {
    let model = deployed.model();
    let read = |inputs: &Payload| {
        Ok::<_, Error>(scoring::read(inputs.content_type(), inputs.bytes(), model.signature.as_ref())?)
    };
    let background = match settings.background()? {
        Some(given) => given,
        None => match model.input_example()? {
            Some(example) => Payload::new(JSON, example),
            None => {
                return Err(Error::invalid_parameter(
                    "there is nothing to compare predictions with, for the model has no input example: give rows as \
                     the config `background`, inline or as the path of a JSON or CSV file",
                ));
            }
        },
    };
    let explained = read(inputs)?;
    let background = read(&background).map_err(|error| {
        Error::new(error.code().clone(), format!("failed to read the background: {}", error.message()))
    })?;
    Table::new(explained, background, settings.background_rows, settings.seed)
}

/// The names of the table's features, or those that were given.
fn feature_names(table: &Table, given: Option<&[String]>) -> Result<Vec<String>> {
    let names = table.names();
    match given {
        None => Ok(names),
        Some(given) if given.len() == names.len() => Ok(given.to_vec()),
        Some(given) => Err(Error::invalid_parameter(format!(
            "the config `feature_names` has {} names: expected {}, one for each feature",
            given.len(),
            names.len()
        ))),
    }
}

/// A deployed model that predicts rows of a table.
struct Asked<'a> {
    deployed: Arc<Deployed>,
    table: Arc<Table>,
    /// The output that is wanted.
    output: Option<&'a str>,
    /// The output that is explained, and the names of its columns, once the model has predicted.
    names: OnceLock<(String, Vec<String>)>,
}

impl Model for Asked<'_> {
    fn rows(&self) -> usize {
        self.table.rows()
    }

    fn background(&self) -> usize {
        self.table.background()
    }

    fn features(&self) -> usize {
        self.table.features()
    }

    fn is_same(&self, feature: usize, one: usize, other: usize) -> bool {
        self.table.is_same(feature, one, other)
    }

    async fn predict(&self, picks: Array2<usize>) -> Result<Array2<f64>> {
        let Some(at_once) = self.deployed.rows() else { return self.predict_at_once(picks).await };
        let last = picks.nrows() - 1;
        let mut parts = Vec::new();
        for start in (0..picks.nrows()).step_by(at_once) {
            // Where there are too few, the last one stands in for those that are missing.
            let rows: Vec<usize> = (start..start + at_once).map(|row| row.min(last)).collect();
            let predictions = self.predict_at_once(picks.select(Axis(0), &rows)).await?;
            parts.push(predictions.select(Axis(0), &(0..at_once.min(picks.nrows() - start)).collect::<Vec<_>>()));
        }
        let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
        concatenate(Axis(0), &parts).map_err(|_uneven| Error::internal("the model's outputs change their sizes"))
    }
}

impl Asked<'_> {
    async fn predict_at_once(&self, picks: Array2<usize>) -> Result<Array2<f64>> {
        let (rows, table) = (picks.nrows(), Arc::clone(&self.table));
        let outputs = self.deployed.run(move || table.pick(&picks)).await?;
        let Explained { name, columns, values } = Explained::choose(outputs, self.output, rows)?;
        self.names.get_or_init(|| (name, columns));
        Ok(values)
    }
}
