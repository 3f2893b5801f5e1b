// Package discover turns the events of a session into the endpoints that it called, says
// which of them no service covers, and suggests the configuration that would.
//
// An endpoint is a method, a host and a path template. Template folds the parts of a path
// that name one thing among many into "*", by these rules, the first that applies:
//
//  1. The query and the fragment are dropped. A segment that is "*" or "**" stays, so
//     the template of a template is itself.
//  2. Git over HTTP: what stands before info/refs, git-upload-pack, git-receive-pack or
//     info/lfs is a repository, each segment "*". Container registries: between /v2 and
//     manifests, blobs, tags/list or referrers stands a name, "**".
//  3. Some providers have names at fixed places: owner and repository on code hosts,
//     bucket and key on object stores, the secret parts of webhook addresses. The
//     catalogue has them (its rows' resources; hosts.go applies them), and nothing else
//     here knows of single providers. Resource calls things by the same lines.
//  4. Names (names.go): what follows a known collection word is a name, whatever it looks
//     like: /users/octocat, /models/gpt-4. Some words take two (/repos/acme/app) or all
//     that follows (/repos/*/*/contents/**). A word that is itself an operation or a
//     collection is never a name: /users/me, /customers/search, /apps/v1.
//  5. Ids (shape.go): numbers, UUIDs, hexadecimal of seven digits and more, dates and
//     versions, prefixed ids (ch_3MmlLr…), issue keys (PROJ-12), addresses with an @,
//     long random tokens, and whatever holds a percent escape. A version of the API stays:
//     v1, v1beta2, and a number below 100 or a date at the start or behind "api".
//  6. What is folded keeps a verb (models/x:generate becomes *:generate) and a file
//     extension (123.json becomes *.json). A call of OData keeps its name: items(*).
//  7. Everything else stays. Folding too little makes two rows of one operation; folding
//     too much would let one allow rule open two operations, so in doubt nothing folds.
//
// Endpoints are covered when a service answered for every one of their calls. Coverage is
// the share of covered endpoints; connections (tunnels, handshakes that failed, what went
// around the proxy) are listed and not counted, since no path of theirs is known.
package discover
