package inject

import (
	"net/url"
	"slices"
	"strings"

	"agentvault/proxy/rule"
)

// awsLabels are the labels of a host of AWS without its region; nil for another host.
func awsLabels(host string) []string {
	for _, end := range [...]string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn"} {
		rest, ok := strings.CutSuffix(host, end)
		if !ok {
			continue
		}
		labels := strings.Split(rest, ".")
		if n := len(labels) - 1; n > 0 && isRegion(labels[n]) {
			labels = labels[:n]
		}
		return labels
	}
	return nil
}

// isRegion goes by the shape: eu-west-1.
func isRegion(label string) bool {
	last := label[max(len(label)-1, 0):]
	return len(label) > 3 && letter(label[0]) && letter(label[1]) && strings.Count(label, "-") >= 2 && label[2] == '-' && last >= "0" && last <= "9"
}

// awsProtocol leaves out what belongs to AWS's customers: API gateways, load balancers,
// machines. Their servers may speak anything.
func awsProtocol(host, path string) protocol {
	labels := awsLabels(host)
	if labels == nil {
		return elsewhere
	}
	n := len(labels)
	service := labels[n-1]
	if service == "dualstack" && n > 1 {
		service = labels[n-2]
	}
	switch {
	case service == "s3", strings.HasPrefix(service, "s3-"), strings.HasPrefix(service, "s3express-"):
		return s3API
	case path != "/":
		return elsewhere
	case n == 1, n == 2 && service == "ddb": // an account's own host for DynamoDB
		return awsAPI
	case n == 2 && slices.Contains([]string{"api", "streams", "metering", "entitlement"}, labels[0]):
		return awsAPI
	}
	return elsewhere
}

// The parameters of S3's API that make another operation of a method on a bucket or an
// object (Amazon S3 API Reference, "Actions").
var subresources = [...]string{"accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering",
	"inventory", "legal-hold", "lifecycle", "location", "logging", "metadataTable", "metrics", "notification", "object-lock",
	"ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention",
	"select", "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "website"}

// The parameters that leave the operation what it is (the same reference); of those that begin
// with X-Amz- or response- all do.
var s3Parameters = [...]string{"continuation-token", "delimiter", "encoding-type", "fetch-owner", "id", "key-marker", "list-type", "marker",
	"max-buckets", "max-keys", "max-parts", "max-uploads", "part-number-marker", "partNumber", "prefix", "bucket-region", "select-type",
	"start-after", "upload-id-marker", "version-id-marker", "versionId", "x-id"}

// s3 is what the sub-resources say.
func (r request) s3() rule.Asked {
	a := rule.Asked{Known: true}
	var names []string
	if len(r.Header["X-Amz-Copy-Source"]) > 0 {
		names = append(names, "copy")
	}
	for piece := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(piece, "=")
		name, err := url.QueryUnescape(name)
		lower := strings.ToLower(name)
		switch {
		case err == nil && slices.Contains(subresources[:], name):
			names = append(names, name)
		case err != nil, piece != "" && !slices.Contains(s3Parameters[:], name) &&
			!strings.HasPrefix(lower, "x-amz-") && !strings.HasPrefix(lower, "response-"):
			a = untold("it has a parameter that may name another operation")
		}
	}
	a.Names = named(names)
	if len(a.Names) > 1 && !slices.Equal(a.Names, []string{"copy", "uploadId"}) && a.Known { // a part that is copied
		a.Known, a.Why = false, "it names several operations, and S3 follows one"
	}
	return a
}

// aws is what the JSON and the query protocols say. A service may take both, so that a request
// is certain only where all places together hold one name.
func (r request) aws(host string) rule.Asked {
	var names []string
	for key, lines := range r.Header {
		if sameSlot(key, "X-Amz-Target") {
			for _, line := range lines {
				names = append(names, lastWord(line))
			}
		}
	}
	target := len(names) > 0
	given, why := r.queryActions()
	names = append(names, given...)
	kind := ""
	if why == "" {
		kind, why = r.contentType()
	}
	if why == "" && !(target && strings.HasPrefix(kind, "application/x-amz-json-1.") && !takesForms(host)) {
		given, why = r.formActions(kind)
		names = append(names, given...)
	}
	a := rule.Asked{Names: named(names), Why: why}
	switch {
	case why != "":
	case len(a.Names) == 0:
		a.Why = "it names no action"
	case len(a.Names) > 1:
		a.Why = "it names several actions, and AWS follows one"
	default:
		a.Known = a.Names[0] != unread
		a.Why = "the name of its action has an odd shape"
	}
	return a
}

// takesForms reports a host of a service with one of AWS's two query protocols, which are no
// longer given to new services (their models in the AWS SDKs: "query" and "ec2").
func takesForms(host string) bool {
	for _, label := range awsLabels(host) {
		switch label {
		case "autoscaling", "cloudformation", "cloudsearch", "ec2", "elasticache", "elasticbeanstalk", "elasticloadbalancing", "email",
			"iam", "importexport", "monitoring", "queue", "rds", "redshift", "sdb", "sns", "sqs", "sts", "sts-fips":
			return true
		}
	}
	return false
}

// actions are those of the query and of a body that says that it is a form.
func (r request) actions() (names []string, why string) {
	names, why = r.queryActions()
	if kind, _ := r.contentType(); why == "" && kind == typeForm {
		var more []string
		more, why = r.formActions(kind)
		names = append(names, more...)
	}
	if why != "" {
		names = append(names, unread)
	}
	return names, why
}

const typeForm = "application/x-www-form-urlencoded"

func (r request) queryActions() (names []string, why string) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, "its query cannot be read"
	}
	return actions(values), ""
}

// formActions are those of the body, which some services read as a form whatever its type
// says. What is none is read as if it were one: a name that comes out of it is one too many.
func (r request) formActions(kind string) (names []string, why string) {
	if strings.HasPrefix(kind, "multipart/") {
		return nil, "its body has several parts"
	}
	body, why := r.body()
	if why != "" {
		return nil, why
	}
	values, err := url.ParseQuery(string(body))
	switch {
	case err == nil:
		return actions(values), ""
	case kind == typeForm:
		return nil, "its form cannot be read"
	}
	return actions(looseForm(string(body))), ""
}

// looseForm takes from a text what a careless reader of forms would.
func looseForm(text string) url.Values {
	values := url.Values{}
	for piece := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == '&' || c == ';' }) {
		key, value, _ := strings.Cut(piece, "=")
		if k, err := url.QueryUnescape(key); err == nil {
			values.Add(strings.TrimSpace(k), value)
		}
	}
	return values
}

// lastWord is what stands behind the last dot of X-Amz-Target, DynamoDB_20120810.GetItem.
func lastWord(line string) string {
	return strings.TrimSpace(line[strings.LastIndexByte(line, '.')+1:])
}
