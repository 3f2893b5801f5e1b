package discover

import "testing"

func TestResource(t *testing.T) {
	for _, tt := range []struct{ host, path, want string }{
		// One repository, by API, git, download, image.
		{"api.github.com", "/repos/acme/app/pulls/3", "github.com/acme/app"},
		{"api.github.com", "/repos/acme/app", "github.com/acme/app"},
		{"api.github.com", "/repos/acme/search/contents/a/b", "github.com/acme/search"},
		{"uploads.github.com", "/repos/acme/app/releases/1/assets", "github.com/acme/app"},
		{"github.com", "/acme/app.git/info/refs?service=git-upload-pack", "github.com/acme/app"},
		{"github.com", "/acme/app.git/git-receive-pack", "github.com/acme/app"},
		{"github.com", "/acme/app/releases/download/v1/app.tgz", "github.com/acme/app"},
		{"github.com", "/login/oauth/access_token", ""},
		{"raw.githubusercontent.com", "/acme/app/main/x/y", "github.com/acme/app"},
		{"codeload.github.com", "/acme/app/tar.gz/refs/heads/main", "github.com/acme/app"},
		{"ghcr.io", "/v2/acme/tools/app/manifests/latest", "ghcr.io/acme/tools/app"},
		{"api.github.com", "/orgs/acme/members", "github.com/acme"},
		{"api.github.com", "/users/octocat", "github.com/octocat"},
		{"api.github.com", "/user", ""},
		{"api.github.com", "/graphql", ""},
		{"git.acme.test", "/api/v3/repos/acme/app/pulls/3", "git.acme.test/api/v3/repos/acme/app"},
		{"gitlab.com", "/api/v4/projects/acme%2Fsub%2Fapp/issues", "gitlab.com/acme/sub/app"},
		{"gitlab.com", "/api/v4/projects/278964/issues", "gitlab.com/278964"},
		{"gitlab.com", "/acme/sub/app.git/git-upload-pack", "gitlab.com/acme/sub/app"},
		{"registry.gitlab.com", "/v2/acme/sub/app/blobs/sha256:00", "registry.gitlab.com/acme/sub/app"},
		{"api.bitbucket.org", "/2.0/repositories/acme/app/pullrequests/7", "bitbucket.org/acme/app"},
		{"codeberg.org", "/api/v1/repos/acme/app/issues", "codeberg.org/acme/app"},
		{"codeberg.org", "/api/v1/repos/search", ""},
		{"dev.azure.com", "/acme/Shop/_apis/git/repositories/web/pushes", "dev.azure.com/acme/Shop/web"},
		{"dev.azure.com", "/acme/_apis/projects", "dev.azure.com/acme"},
		{"hub.docker.com", "/v2/repositories/library/alpine/tags", "docker.io/library/alpine"},
		{"registry-1.docker.io", "/v2/library/alpine/manifests/3.20", "docker.io/library/alpine"},

		{"s3.eu-west-1.amazonaws.com", "/bucket/a/b", "s3:bucket"},
		{"bucket.s3.eu-west-1.amazonaws.com", "/a/b", "s3:bucket"},
		{"bucket.s3.amazonaws.com", "/", "s3:bucket"},
		{"sqs.eu-west-1.amazonaws.com", "/123456789012/jobs", "sqs:jobs"},
		{"lambda.eu-west-1.amazonaws.com", "/2015-03-31/functions/resize/invocations", "lambda:resize"},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "/v2/team/app/manifests/latest", "ecr:team/app"},
		{"dynamodb.eu-west-1.amazonaws.com", "/", ""},
		{"storage.googleapis.com", "/storage/v1/b/photos/o/a%2Fb.jpg", "gs:photos"},
		{"storage.googleapis.com", "/photos/a/b.jpg", "gs:photos"},
		{"storage.googleapis.com", "/batch/storage/v1", ""},
		{"compute.googleapis.com", "/compute/v1/projects/p-1/zones/europe-west4-a/instances", "gcp:p-1"},
		{"run.googleapis.com", "/v2/projects/p-1/locations/europe-west4/services", "gcp:p-1"},
		{"acct.blob.core.windows.net", "/photos/a/b.jpg", "acct.blob.core.windows.net/photos"},
		{"management.azure.com", "/subscriptions/s-1/resourcegroups/web/providers/x", "management.azure.com/subscriptions/s-1/resourceGroups/web"},
		{"api.cloudflare.com", "/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records", "api.cloudflare.com/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353"},
		{"api.heroku.com", "/apps/shop/config-vars", "api.heroku.com/apps/shop"},
		{"api.vercel.com", "/v9/projects/shop", "api.vercel.com/projects/shop"},
		{"api.netlify.com", "/api/v1/sites/shop.netlify.app/deploys", "api.netlify.com/api/v1/sites/shop.netlify.app"},
		{"abcdefghijklmnopqrst.supabase.co", "/rest/v1/todos", "supabase:abcdefghijklmnopqrst"},

		{"api.stripe.com", "/v1/customers/cus_NffrFeUfNV2Hib/sources", "api.stripe.com/v1/customers/cus_NffrFeUfNV2Hib"},
		{"api.stripe.com", "/v1/customers/search", ""},
		{"api.stripe.com", "/v1/charges/ch_3MmlLrLkdIwHu7ix0snN0B15/capture", "api.stripe.com/v1/charges/ch_3MmlLrLkdIwHu7ix0snN0B15"},
		{"acme.myshopify.com", "/admin/api/2025-01/products/1.json", "acme.myshopify.com"},
		{"api.twilio.com", "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json", "api.twilio.com/Accounts/AC0123456789abcdef0123456789abcdef"},

		{"acme.atlassian.net", "/rest/api/3/issue/PROJ-12/comment", "acme.atlassian.net/issue/PROJ-12"},
		{"acme.atlassian.net", "/rest/api/3/issue/createmeta", ""},
		{"acme.atlassian.net", "/wiki/api/v2/pages/98304", "acme.atlassian.net/wiki/page/98304"},
		{"api.notion.com", "/v1/pages/59833787-2cf9-4fdf-8782-e53db20768a5", "api.notion.com/v1/pages/59833787-2cf9-4fdf-8782-e53db20768a5"},
		{"api.airtable.com", "/v0/appABCDEFGHIJKLMN/Tasks", "airtable.com/appABCDEFGHIJKLMN/Tasks"},
		{"api.airtable.com", "/v0/meta/bases/appABCDEFGHIJKLMN/tables", "airtable.com/appABCDEFGHIJKLMN"},
		{"api.airtable.com", "/v0/meta/whoami", ""},
		{"us.sentry.io", "/api/0/projects/acme/web/issues/", "sentry.io/acme/web"},
		{"sentry.io", "/api/0/organizations/acme/issues/", "sentry.io/acme"},
		{"api.pagerduty.com", "/incidents/PT4KHLK/notes", "api.pagerduty.com/incidents/PT4KHLK"},
		{"api.datadoghq.eu", "/api/v1/dashboard/abc-def-ghi", "datadog:dashboard/abc-def-ghi"},

		{"generativelanguage.googleapis.com", "/v1beta/models/gemini:generateContent", "generativelanguage.googleapis.com/models/gemini"},
		{"api.openai.com", "/v1/files/file-abc123/content", "api.openai.com/v1/files/file-abc123"},
		{"api.openai.com", "/v1/batches/batch_abc123/cancel", "api.openai.com/v1/batches/batch_abc123"},
		{"api.openai.com", "/v1/responses", ""},
		{"api.anthropic.com", "/v1/messages/batches/msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d", "api.anthropic.com/v1/messages/batches/msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d"},
		{"huggingface.co", "/api/models/acme/tiny/tree/main", "huggingface.co/acme/tiny"},
		{"huggingface.co", "/api/models/gpt2/tree/main", "huggingface.co/gpt2"},
		{"huggingface.co", "/datasets/acme/words/resolve/main/a.parquet", "huggingface.co/datasets/acme/words"},
		{"huggingface.co", "/docs/hub", ""},
		{"api.replicate.com", "/v1/models/acme/flux/predictions", "replicate.com/acme/flux"},

		// Secret parts of addresses are no names.
		{"api.telegram.org", "/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage", "api.telegram.org/bot"},
		{"hooks.slack.com", "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "hooks.slack.com/services/T00000000"},
		{"discord.com", "/api/v10/webhooks/1199999999999999999/abcDEF_ghi", "discord.com/webhooks/1199999999999999999"},

		// What the catalogue does not know: up to the first name.
		{"api.x.test", "/v1/users/bob/posts", "api.x.test/v1/users/bob"},
		{"api.x.test", "/v1/health", ""},
	} {
		template := Template(tt.host, tt.path)
		if got := Resource(tt.host, tt.path, template); got != tt.want {
			t.Errorf("%s%s: got %q, want %q", tt.host, tt.path, got, tt.want)
		}
		if again := Template(tt.host, template); again != template {
			t.Errorf("%s%s: the template %q folds again, to %q", tt.host, tt.path, template, again)
		}
	}
}
