// Draws formulas: reads a JSON list of [formula, display] a line, writes a JSON list of {html} or {error} a line.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const katex = (await import(pathToFileURL(process.argv[2]))).default;
for await (const line of createInterface({ input: process.stdin })) {
  const drawn = JSON.parse(line).map(([formula, displayMode]) => {
    try {
      return { html: katex.renderToString(formula, { displayMode, throwOnError: true, strict: "error" }) };
    } catch (error) {
      return { error: error.message };
    }
  });
  process.stdout.write(JSON.stringify(drawn) + "\n");
}
