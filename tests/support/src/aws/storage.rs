//! The answers of S3.

use crate::aws::account::{Account, xml};
use crate::server::{Answer, Request};

impl Account {
    /// Answers a request to S3.
    pub(super) fn storage(&mut self, name: &str, request: &Request) -> Answer {
        let path = request.path.split('?').next().unwrap_or_default().trim_start_matches('/').to_owned();
        let is_bucket = !path.trim_end_matches('/').contains('/');
        match name {
            "HEAD" => Answer::status(if self.buckets.contains(&path) { 200 } else { 404 }),
            "PUT" if is_bucket => {
                self.buckets.push(path);
                Answer::status(200)
            }
            "POST uploads" => xml(
                200,
                "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>id1</UploadId></InitiateMultipartUploadResult>",
            ),
            "PUT partNumber" | "PUT uploadId" => {
                self.parts.entry(path).or_default().extend_from_slice(&request.body);
                Answer::status(200).header("ETag", "\"tag\"")
            }
            "POST uploadId" => {
                let bytes = self.parts.remove(&path).unwrap_or_default();
                self.objects.insert(path, bytes);
                xml(
                    200,
                    "<CompleteMultipartUploadResult><Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>t</ETag></CompleteMultipartUploadResult>",
                )
            }
            "DELETE uploadId" => {
                self.parts.remove(&path);
                Answer::status(204)
            }
            "PUT tagging" => Answer::status(200),
            "PUT" => {
                self.objects.insert(path, request.body.clone());
                Answer::status(200).header("ETag", "\"tag\"")
            }
            "GET" => match self.objects.get(&path) {
                Some(bytes) => Answer::new(200, bytes.clone()),
                None => xml(
                    404,
                    "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
                ),
            },
            "DELETE" => {
                self.objects.remove(&path);
                Answer::status(204)
            }
            other => Answer::new(500, format!("unknown operation {other}")),
        }
    }
}
