package rule

import "slices"

// Services names the services that have something to do with a host and port, on
// whichever path, each once.
func (s *Set) Services(host string, port int) []string {
	name, err := CanonicalHost(host)
	if err != nil {
		return nil
	}
	var names []string
	exact, wild := s.targets(name)
	for _, targets := range [2][]target{exact, wild} {
		for i := range targets {
			if t := &targets[i]; t.host.matchPort(port) && !slices.Contains(names, t.svc.name) {
				names = append(names, t.svc.name)
			}
		}
	}
	return names
}
