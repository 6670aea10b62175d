import js from '@eslint/js';
import a11y from 'eslint-plugin-jsx-a11y';
import hooks from 'eslint-plugin-react-hooks';
import ts from 'typescript-eslint';

export default ts.config(
  { ignores: ['src/api/types.ts'] },
  js.configs.recommended,
  ...ts.configs.recommendedTypeChecked,
  a11y.flatConfigs.strict,
  {
    languageOptions: { parserOptions: { projectService: true } },
    plugins: { 'react-hooks': hooks },
    rules: {
      'react-hooks/rules-of-hooks': 'error',
      'react-hooks/exhaustive-deps': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'max-lines': ['error', 400],
      // Roles are said where CSS takes them away: `list-style: none` does so in Safari.
      'jsx-a11y/no-redundant-roles': 'off',
      // A button's handler may be asynchronous: what fails in it is told by it.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }]
    }
  }
);
