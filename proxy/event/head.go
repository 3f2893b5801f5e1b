package event

// Head is what a view may show of one call beside its Event: its headers, and the rule that
// let it through. It is no part of an Event: it
// never reaches the log, and is made only while somebody looks. What stands for a
// credential is written in guillemets: ‹github› is what the proxy added for that service,
// ‹own› what the agent itself sent. Everything else is from the network: escape it before
// it is drawn.
type Head struct {
	Call     uint64  `json:"call"`
	Rule     string  `json:"rule,omitempty"`     // of allow; empty where the service has no such list
	Request  []Field `json:"request,omitempty"`  // as it left for the server
	Response []Field `json:"response,omitempty"` // as the agent got it, its trailer too; nil while there is none
	// More is how many lines there were beyond those that are kept.
	More int `json:"more,omitempty"`
}

// Field is one header line.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
