// Loaded by NODE_OPTIONS=--require into every Node process of a session.
//
// Node learnt to use HTTPS_PROXY by itself in 22.21 and 24.5 (NODE_USE_ENV_PROXY), for fetch
// and for requests without an agent. In an older one this file does that, and in every one
// it does the same for requests with a plain http.Agent or https.Agent, as the AWS SDK makes
// them. Whatever has its own idea of connecting stays as it is: agents of a class of their
// own (npm's, proxy-agent's), a socketPath, a createConnection, a dispatcher that the
// program has set. Not reached: net, tls, node:http2, `ws`.
//
// It must never make a program fail that would run without it: it is written for Node 14
// and does nothing where something is not as expected.
'use strict';

(function () {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const native = major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21);
  if (major < 14 || process.versions.deno || process.versions.bun) return;

  const env = process.env;
  const proxies = {
    'http:': parse(env.http_proxy || env.HTTP_PROXY),
    'https:': parse(env.https_proxy || env.HTTPS_PROXY),
  };
  if (!proxies['http:'] && !proxies['https:']) return;
  const direct = (env.no_proxy || env.NO_PROXY || '').split(/[\s,]+/).filter(Boolean);

  const http = require('http');
  const https = require('https');
  const net = require('net');
  const tls = require('tls');
  // As they are now: programs that record or fake traffic replace them later.
  const { request } = http;

  function parse(text) {
    try {
      const url = new URL(text);
      if (url.protocol !== 'http:') return null; // a proxy that we cannot speak to
      return {
        url,
        origin: url.origin,
        to: { host: unbracket(url.hostname), port: Number(url.port) || 80 },
        auth: url.username && 'Basic ' + Buffer.from(
          decodeURIComponent(url.username) + ':' + decodeURIComponent(url.password)).toString('base64'),
      };
    } catch (_) {
      return null;
    }
  }

  function unbracket(host) {
    return host.replace(/^\[|\]$/g, '');
  }

  // The proxy for a destination, or null: NO_PROXY as curl and Go read it. A name stands
  // for its subdomains, a port and a network (10.0.0.0/8) are understood.
  function proxyFor(protocol, host, port) {
    const proxy = proxies[protocol];
    if (!proxy || !host) return null;
    host = unbracket(String(host)).toLowerCase().replace(/\.$/, '');
    return direct.some((entry) => bypasses(entry.toLowerCase(), host, String(port))) ? null : proxy;
  }

  function bypasses(entry, host, port) {
    if (entry === '*') return true;
    if (entry.includes('/')) return inNetwork(entry, host);
    const withPort = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry);
    if (withPort) {
      if (withPort[2] !== port) return false;
      entry = withPort[1];
    }
    entry = unbracket(entry);
    if (/^\*?\./.test(entry)) return host.endsWith(entry.replace(/^\*/, ''));
    return host === entry || (!net.isIP(host) && host.endsWith('.' + entry));
  }

  function inNetwork(entry, host) {
    const [base, bits] = entry.split('/');
    const family = 'ipv' + net.isIP(host);
    if (!net.BlockList || net.isIP(base) === 0 || net.isIP(host) !== net.isIP(base)) return false;
    try {
      const list = new net.BlockList();
      list.addSubnet(base, Number(bits), family);
      return list.check(host, family);
    } catch (_) {
      return false;
    }
  }

  // Opens a tunnel and gives it to done(error, socket), once.
  function tunnel(proxy, host, port, timeout, done) {
    const target = (net.isIPv6(host) ? '[' + host + ']' : host) + ':' + port;
    const headers = { host: target };
    if (proxy.auth) headers['proxy-authorization'] = proxy.auth;
    const req = request({
      method: 'CONNECT', path: target, headers, setHost: false,
      createConnection: () => net.connect(proxy.to), // and so no agent, ours neither
    });
    let answered = false;
    const finish = (err, socket) => {
      if (answered) return;
      answered = true;
      done(err, socket);
    };
    if (timeout) {
      req.setTimeout(timeout, () => req.destroy(new Error('timeout at the proxy for ' + target)));
    }
    req.once('error', finish);
    req.once('connect', (res, socket, head) => {
      if (res.statusCode !== 200) {
        socket.destroy();
        const err = new Error('proxy answered ' + res.statusCode + ' to CONNECT ' + target);
        err.code = 'ERR_PROXY_TUNNEL';
        err.statusCode = res.statusCode;
        return finish(err);
      }
      socket.setTimeout(0);
      if (head.length) socket.unshift(head);
      finish(null, socket);
    });
    req.end();
  }

  // Only Node's own class: a subclass that calls super has made its own arrangements. And
  // not the agents that a newer Node sends through the proxy itself.
  function isPlain(agent, Agent) {
    return Object.getPrototypeOf(agent) === Agent.prototype && !(agent.options && agent.options.proxyEnv);
  }

  function throughTunnels() {
    const connect = https.Agent.prototype.createConnection;
    https.Agent.prototype.createConnection = function createConnection(options, done) {
      const proxy = isPlain(this, https.Agent) && options && typeof options === 'object' &&
        typeof done === 'function' && !options.socketPath && !options.socket &&
        proxyFor('https:', options.host, options.port || 443);
      if (!proxy) return connect.apply(this, arguments);
      tunnel(proxy, options.host, options.port || 443, options.timeout, (err, socket) => {
        if (err) return done(err);
        let secure;
        try {
          secure = connect.call(this, Object.assign({}, options, { socket }));
        } catch (e) {
          socket.destroy();
          return done(e);
        }
        done(null, secure);
      });
      return undefined; // what an agent takes for: later, through done
    };
  }

  // Plain HTTP goes to the proxy in absolute form, as RFC 9112 3.2.2 has it.
  function throughRequests() {
    const add = http.Agent.prototype.addRequest;
    http.Agent.prototype.addRequest = function addRequest(req, options) {
      const proxy = isPlain(this, http.Agent) && options && typeof options === 'object' &&
        !options.socketPath && String(req.path).startsWith('/') &&
        proxyFor('http:', options.host, options.port || 80);
      // Headers given as an array are written already; those few stay direct.
      if (!proxy || req._header || req.method === 'CONNECT') return add.apply(this, arguments);
      req.path = 'http://' + (req.getHeader('host') || options.host) + req.path;
      if (proxy.auth) req.setHeader('proxy-authorization', proxy.auth);
      return add.call(this, req, Object.assign({}, options, proxy.to));
    };
  }

  // fetch is undici inside Node, which programs cannot load; but its dispatcher stands in
  // a well-known place once it is loaded, and its class takes a function for connecting.
  const place = Symbol.for('undici.globalDispatcher.1');
  let installed = false;

  function installDispatcher() {
    if (installed) return;
    installed = true;
    try {
      void globalThis.Headers; // loads undici, which then has its dispatcher
      const plain = globalThis[place];
      const Agent = plain && plain.constructor;
      if (!Agent || Agent.name !== 'Agent') return; // the program has set its own
      const through = new Agent({ connect: connectFetch });
      through.dispatch = function (options, handler) {
        const url = new URL(options.origin);
        const proxy = proxyFor(url.protocol, url.hostname, url.port || (url.protocol === 'https:' ? 443 : 80));
        if (!proxy) return plain.dispatch(options, handler);
        if (url.protocol === 'https:') return Agent.prototype.dispatch.call(through, options, handler);
        return plain.dispatch(absolute(options, url, proxy), handler);
      };
      globalThis[place] = through;
    } catch (_) {
      // Another undici than those known: fetch goes direct, as without us.
    }
  }

  function connectFetch(options, done) {
    const host = unbracket(options.hostname);
    const port = options.port || 443;
    const proxy = proxyFor('https:', host, port);
    if (!proxy) return done(new Error('no proxy for ' + host));
    tunnel(proxy, host, port, 0, (err, socket) => {
      if (err) return done(err, null);
      const servername = options.servername || (net.isIP(host) ? undefined : host);
      const secure = tls.connect({ socket, servername, host, ALPNProtocols: ['http/1.1'] });
      secure.setKeepAlive(true, 60000).setNoDelay(true);
      const failed = (e) => done(e, null);
      secure.once('error', failed);
      secure.once('secureConnect', () => {
        secure.removeListener('error', failed);
        done(null, secure);
      });
    });
  }

  function absolute(options, url, proxy) {
    const extra = proxy.auth ? ['proxy-authorization', proxy.auth] : [];
    let { headers } = options;
    if (Array.isArray(headers)) {
      if (!headers.some((h, i) => i % 2 === 0 && /^host$/i.test(h))) extra.push('host', url.host);
      headers = headers.concat(extra);
    } else {
      const entries = headers && headers[Symbol.iterator] ? Array.from(headers) : Object.entries(headers || {});
      headers = Object.fromEntries([['host', url.host], ...entries]);
      if (proxy.auth) headers['proxy-authorization'] = proxy.auth;
    }
    return Object.assign({}, options, { origin: proxy.origin, path: url.origin + options.path, headers });
  }

  // Loading undici costs a start about 10 ms: it waits for the first use.
  function throughFetch() {
    const original = globalThis.fetch;
    if (typeof original === 'function') {
      const wrapped = {
        fetch(input, init = undefined) {
          installDispatcher();
          if (globalThis.fetch === wrapped) globalThis.fetch = original;
          return original(input, init);
        },
      }.fetch;
      globalThis.fetch = wrapped;
    }
    for (const name of ['WebSocket', 'EventSource']) {
      const property = Object.getOwnPropertyDescriptor(globalThis, name);
      if (!property || !property.configurable || !property.get) continue;
      Object.defineProperty(globalThis, name, Object.assign({}, property, {
        get() {
          installDispatcher();
          return property.get.call(this);
        },
      }));
    }
  }

  try {
    throughTunnels();
    throughRequests();
    if (!native) throughFetch();
  } catch (_) {
    // A Node that is built differently: it runs as it would without us.
  }
})();
