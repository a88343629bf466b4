import tseslint from "typescript-eslint";

const nodeTest = { from: "package", package: "node:test", name: ["test"] }; // the runner awaits its tests itself

export default tseslint.config(...tseslint.configs.strictTypeChecked, {
  languageOptions: {
    parserOptions: { project: "vscode-extension/tsconfig.json", tsconfigRootDir: `${import.meta.dirname}/..` },
  },
  rules: {
    "@typescript-eslint/no-floating-promises": ["error", { allowForKnownSafeCalls: [nodeTest] }],
    "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
  },
});
