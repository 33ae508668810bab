//! Runs the operation `explain`: reads the inputs and the background into a table, and computes Shapley values with the
//! model of a deployment.

use std::sync::{Arc, OnceLock};

use mlflow_deploy_plugin_api::{Config, Error, JSON, Payload, Result, blocking, call};
use mlflow_deploy_scoring::read_request;
use mlflow_deploy_shapley::{Attribution, AttributionError, RowPredictor};
use ndarray::{Array2, Axis, concatenate};

use super::config::ExplainConfig;
use super::document::ExplainDocument;
use super::feature_table::FeatureTable;
use super::outputs::ExplainedOutput;
use crate::deployment::LoadedModel;

/// Computes Shapley values for the model's predictions of `inputs`, and returns them as JSON.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the config, the inputs or the background are invalid, or if the model cannot be
/// explained. Fails with the error of the model if a prediction fails.
pub(crate) async fn explain(deployed: Arc<LoadedModel>, config: &Config, inputs: Payload) -> Result<Payload> {
    let config = ExplainConfig::new(config)?;
    let reader = Arc::clone(&deployed);
    let (config, (table, is_own_background)) = blocking(move || {
        let table = read_table(&reader, &config, &inputs)?;
        Ok((config, table))
    })
    .await?;
    if is_own_background {
        call::warn(
            "the model has no input example: the explained rows are the background; for typical rows as a better \
             background, set the config `background` to rows, inline or as the path of a JSON or CSV file",
        );
    }
    let feature_names = feature_names(&table, config.feature_names.as_deref())?;
    let method = config.method(feature_names.len(), table.background_rows())?;
    let output = config.output.as_deref();
    let predictor = TablePredictor { deployed, table: Arc::new(table), output, names: OnceLock::new() };
    let attribution = Attribution::compute(&predictor, &method).await.map_err(attribution_error)?;
    let (output, output_names) = predictor.names.into_inner().unwrap_or_default();
    Payload::from_json(&ExplainDocument {
        method: method.name(),
        permutations: method.permutations(),
        background_rows: predictor.table.background_rows(),
        output,
        output_names,
        feature_names,
        values: attribution.into(),
        data: predictor.table.data(),
    })
}

fn attribution_error(error: AttributionError<Error>) -> Error {
    match error {
        AttributionError::Model(error) => error,
        AttributionError::UnevenPredictions => Error::internal(error.to_string()),
        _ => Error::invalid_parameter(error.to_string()),
    }
}

/// Reads the explained rows and the background. Returns true beside the table if the explained rows are the background,
/// because neither the config nor the model has one.
fn read_table(deployed: &LoadedModel, config: &ExplainConfig, inputs: &Payload) -> Result<(FeatureTable, bool)> {
    let model = deployed.model();
    let read = |inputs: &Payload| {
        Ok::<_, Error>(read_request(inputs.content_type(), inputs.bytes(), model.signature.as_ref())?)
    };
    let background = match config.background()? {
        Some(background) => Some(background),
        None => model.input_example()?.map(|example| Payload::new(JSON, example)),
    };
    let explained = read(inputs)?;
    let is_own_background = background.is_none();
    let background = match background {
        Some(background) => read(&background).map_err(|error| {
            Error::new(error.code().clone(), format!("failed to read the background: {}", error.message()))
        })?,
        None => explained.clone(),
    };
    let table = FeatureTable::new(explained, background, config.background_rows, config.seed)?;
    if is_own_background && table.rows() < 2 {
        return Err(Error::invalid_parameter(format!(
            "no background rows: the model has no input example, and {} explained row cannot be its own background; set \
             the config `background` to rows, inline or as the path of a JSON or CSV file, or explain at least 2 rows",
            table.rows()
        )));
    }
    Ok((table, is_own_background))
}

/// Returns the names of the features from the config, or those of the table if the config has none. Fails if the config
/// has the wrong number of names.
fn feature_names(table: &FeatureTable, configured: Option<&[String]>) -> Result<Vec<String>> {
    let names = table.names();
    match configured {
        None => Ok(names),
        Some(configured) if configured.len() == names.len() => Ok(configured.to_vec()),
        Some(configured) => Err(Error::invalid_parameter(format!(
            "the config `feature_names` has {} names: expected {}, one for each feature",
            configured.len(),
            names.len()
        ))),
    }
}

/// Predicts rows that are mixed from a table with the model of a deployment.
struct TablePredictor<'a> {
    deployed: Arc<LoadedModel>,
    table: Arc<FeatureTable>,
    /// The name of the output that the config requests; `None` for the default output.
    output: Option<&'a str>,
    /// The name of the explained output and the names of its columns. The first prediction sets this value.
    names: OnceLock<(String, Vec<String>)>,
}

impl RowPredictor for TablePredictor<'_> {
    type Error = Error;

    fn rows(&self) -> usize {
        self.table.rows()
    }

    fn background_rows(&self) -> usize {
        self.table.background_rows()
    }

    fn features(&self) -> usize {
        self.table.features()
    }

    fn is_same(&self, feature: usize, one: usize, other: usize) -> bool {
        self.table.is_same(feature, one, other)
    }

    async fn predict(&self, picks: Array2<usize>) -> Result<Array2<f64>> {
        let Some(batch) = self.deployed.rows() else { return self.predict_batch(picks).await };
        let last = picks.nrows() - 1;
        let mut parts = Vec::new();
        for start in (0..picks.nrows()).step_by(batch) {
            // The model takes a fixed number of rows, so the last row is repeated to fill a batch.
            let rows: Vec<usize> = (start..start + batch).map(|row| row.min(last)).collect();
            let predictions = self.predict_batch(picks.select(Axis(0), &rows)).await?;
            parts.push(predictions.select(Axis(0), &(0..batch.min(picks.nrows() - start)).collect::<Vec<_>>()));
        }
        let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
        concatenate(Axis(0), &parts)
            .map_err(|_uneven| Error::internal("the number of outputs of the model differs between calls"))
    }

    fn progress(&self, done: usize, all: usize) {
        // Reports progress once for each percent.
        if done * 100 / all != (done - 1) * 100 / all {
            #[expect(clippy::cast_precision_loss, reason = "the fraction needs few digits")]
            call::progress(done as f64 / all as f64, format!("explained {done} of {all} rows"));
        }
    }
}

impl TablePredictor<'_> {
    async fn predict_batch(&self, picks: Array2<usize>) -> Result<Array2<f64>> {
        let (rows, table) = (picks.nrows(), Arc::clone(&self.table));
        let outputs = self.deployed.run(move || table.pick(&picks)).await?;
        let ExplainedOutput { name, columns, values } = ExplainedOutput::choose(outputs, self.output, rows)?;
        self.names.get_or_init(|| (name, columns));
        Ok(values)
    }
}
