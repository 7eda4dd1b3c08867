#!/usr/bin/env bash
# Makes site/ from nothing, and fails on any warning: `bash docs/build.sh`. Needs Node.js beside Python.
#
# The Python is that of PYTHON, if it is set; else of the virtual environment that is active or in .venv, if it has the extra `docs`;
# else of an environment of its own, .venv-docs, which is made here. KaTeX and Mermaid come from npm once, into .cache/site.
set -euo pipefail
cd "$(dirname "$0")/.."

katex=0.16.22
mermaid=11.12.0

has_docs() {
  "$1" -c 'import lrax, mkdocstrings, material' 2>/dev/null
}

python=${PYTHON:-}
if [ -z "$python" ]; then
  python=.venv-docs/bin/python
  for candidate in ${VIRTUAL_ENV:+"$VIRTUAL_ENV/bin/python"} .venv/bin/python; do
    if has_docs "$candidate"; then
      python=$candidate
      break
    fi
  done
fi
if [ "$python" = .venv-docs/bin/python ] && ! has_docs "$python"; then
  python3 -m venv .venv-docs
  "$python" -m pip install -q -e '.[docs]'
fi

fetch() {  # package, the file it comes as. npm may end well without having brought anything: what counts is the file
  local said
  for pause in 0 5 20; do
    sleep "$pause"
    said=$(cd .cache/site/npm && npm pack "$1" 2>&1) || true
    if tar -tzf ".cache/site/npm/$2" >/dev/null 2>&1; then
      return
    fi
  done
  echo "npm did not bring $1:" >&2
  echo "$said" >&2
  exit 75  # what is missing is not ours: the tests that open the site skip themselves
}

vendor=.cache/site/vendor
wanted="katex $katex mermaid $mermaid"
if [ "$(cat "$vendor/versions.txt" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$vendor" .cache/site/npm
  mkdir -p "$vendor/katex" .cache/site/npm
  fetch "katex@$katex" "katex-$katex.tgz"
  fetch "mermaid@$mermaid" "mermaid-$mermaid.tgz"
  tar -xzf ".cache/site/npm/katex-$katex.tgz" -C .cache/site/npm package/dist package/LICENSE
  cp -r .cache/site/npm/package/dist/{katex.min.css,katex.mjs} .cache/site/npm/package/LICENSE "$vendor/katex"
  mkdir "$vendor/katex/fonts"
  cp .cache/site/npm/package/dist/fonts/*.woff2 "$vendor/katex/fonts"
  tar -xzf ".cache/site/npm/mermaid-$mermaid.tgz" -C .cache/site/npm package/dist/mermaid.min.js
  cp .cache/site/npm/package/dist/mermaid.min.js "$vendor"
  rm -rf .cache/site/npm
  echo "$wanted" >"$vendor/versions.txt"
fi

NO_MKDOCS_2_WARNING=1 JAX_PLATFORMS=cpu KERAS_BACKEND=jax "$python" -m mkdocs build --strict --quiet --clean "$@"
echo "made site/index.html"
