//! Tests changes while other programs change the applications too.

use super::*;

fn names(cluster: &ray::Ray) -> Vec<String> {
    cluster.edit(|all| all.names().into_iter().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_change_that_another_writer_undid_is_merged_and_sent_again() {
    let cluster = ray::Ray::start();
    // The other writer read the applications before the change, and replaces them after it. It does so twice.
    cluster.set_other_writer(|number, all| match number {
        1 => all.replace(&json!({"applications": [foreign("one")]})).unwrap(),
        2 => all.replace(&json!({"applications": [foreign("one"), foreign("two")]})).unwrap(),
        _ => {}
    });
    deploy(&plain(&cluster), "iris").await.unwrap();
    assert_eq!(names(&cluster), ["iris", "one", "two"]);
    let sent = cluster.changes();
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[2]["applications"][0], foreign("one"), "with its environment");
}

#[tokio::test]
async fn an_undone_update_and_an_undone_deletion_are_sent_again() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    deploy(&client, "iris").await.unwrap();
    let before = cluster.edit(|all| all.config("iris").unwrap().clone());
    let undo = before.clone();
    cluster.set_other_writer(move |number, all| {
        if number == 2 || number == 4 {
            all.replace(&json!({"applications": [undo.clone(), foreign("other")]})).unwrap();
        }
    });
    client.update_deployment(update("iris", &json!({"num_replicas": 2}))).await.unwrap();
    assert_eq!(cluster.edit(|all| all.config("iris").unwrap()["deployments"][0]["num_replicas"].clone()), json!(2));
    assert_eq!(names(&cluster), ["iris", "other"]);
    client.delete_deployment(DeleteDeployment::new("iris")).await.unwrap();
    assert_eq!(names(&cluster), ["other"]);
    assert_eq!(cluster.changes().len(), 5);
}

#[tokio::test]
async fn a_writer_of_the_same_application_keeps_its_change() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    cluster.set_other_writer(|number, all| {
        if number == 1 {
            all.put(foreign("iris"));
        }
    });
    let error = deploy(&client, "iris").await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_ALREADY_EXISTS);
    assert_eq!(cluster.edit(|all| all.config("iris").unwrap().clone()), foreign("iris"));
    cluster.set_other_writer(|_, _| {});
    deploy(&client, "lily").await.unwrap();
    cluster.set_other_writer(|number, all| {
        if number == 3 {
            all.put(foreign("lily"));
        }
    });
    let error = client.update_deployment(update("lily", &json!({"num_replicas": 2}))).await.unwrap_err();
    assert_eq!(error.code().as_str(), "RESOURCE_CONFLICT");
    assert_eq!(cluster.edit(|all| all.config("lily").unwrap().clone()), foreign("lily"));
}

#[tokio::test]
async fn a_writer_that_never_stops_is_reported() {
    let cluster = ray::Ray::start();
    cluster.set_other_writer(|_, all| all.replace(&json!({"applications": []})).unwrap());
    let error = deploy(&plain(&cluster), "iris").await.unwrap_err();
    assert_eq!(error.code().as_str(), "RESOURCE_CONFLICT");
    assert!(error.message().contains("other writers undid the change of `iris` 20 times"), "{error}");
}

#[tokio::test]
async fn concurrent_creates_are_all_deployed() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    let (one, two, three) = tokio::join!(deploy(&client, "one"), deploy(&client, "two"), deploy(&client, "three"));
    for record in [one, two, three] {
        assert_eq!(record.unwrap()["status"], "RUNNING");
    }
    assert_eq!(names(&cluster), ["one", "three", "two"]);
}

#[tokio::test]
async fn an_application_of_a_program_survives_and_is_not_taken_over() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    cluster.edit(|all| all.run_program("program", "/program"));
    deploy(&client, "iris").await.unwrap();
    let record = get(&client, "program").await.unwrap();
    assert_eq!(
        (&record["source"], &record["managed"], &record["status"]),
        (&json!("imperative"), &json!(false), &json!("RUNNING"))
    );
    let changes = cluster.changes().len();
    for error in [
        deploy(&client, "program").await.unwrap_err(),
        client.update_deployment(update("program", &json!({"num_replicas": 2}))).await.unwrap_err(),
        client.delete_deployment(DeleteDeployment::new("program")).await.unwrap_err(),
    ] {
        assert!(error.message().starts_with("a program deployed the application `program`"), "{error}");
    }
    let folder = model();
    let taken = create("other", folder.path(), &json!({"route_prefix": "/program"}));
    let error = client.create_deployment(taken).await.unwrap_err();
    assert!(error.message().contains("the route `/program` is taken by the application `program`"), "{error}");
    cluster.edit(|all| all.put(foreign("theirs")));
    let error = client.delete_deployment(DeleteDeployment::new("theirs")).await.unwrap_err();
    assert!(error.message().contains("was not deployed by this plugin, but runs \"other:app\""), "{error}");
    assert_eq!(cluster.changes().len(), changes, "nothing was sent");
    client.delete_deployment(DeleteDeployment::new("iris")).await.unwrap();
    assert_eq!(names(&cluster), ["program", "theirs"]);
}

#[tokio::test]
async fn hidden_environment_variables_are_not_sent_back() {
    let cluster = ray::Ray::start();
    let mut hidden = foreign("theirs");
    hidden["runtime_env"]["env_vars"]["A"] = "<redacted>".into();
    cluster.edit(|all| all.replace(&json!({"applications": [hidden]}))).unwrap();
    let error = deploy(&plain(&cluster), "iris").await.unwrap_err();
    assert!(
        error.message().contains("shows no values of environment variables for the application `theirs`"),
        "{error}"
    );
    assert_eq!(cluster.changes().len(), 0);
}
