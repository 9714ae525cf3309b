/** What is installed for each app: the whole list of pinned versions. docs/frameworks.md shows it. */
export const versions = {
  nuxt: { nuxt: '4.5.2', vue: '3.5.45' },
  'nitro-2': { nitropack: '2.13.6' },
  'nitro-3': { nitro: '3.0.0', rolldown: '1.2.19' },
  sveltekit: {
    '@sveltejs/adapter-node': '6.0.1',
    '@sveltejs/kit': '3.2.0',
    '@sveltejs/vite-plugin-svelte': '7.3.1',
    svelte: '5.57.3',
    typescript: '6.0.3',
    vite: '8.3.8',
  },
  'sveltekit-2': {
    '@sveltejs/adapter-auto': '7.0.1',
    '@sveltejs/adapter-node': '5.5.7',
    '@sveltejs/kit': '2.70.4',
    '@sveltejs/vite-plugin-svelte': '7.3.1',
    svelte: '5.57.3',
    vite: '8.3.8',
  },
  astro: { '@astrojs/node': '11.1.6', astro: '7.3.5' },
  'react-router': {
    '@react-router/dev': '8.4.0',
    '@react-router/node': '8.4.0',
    '@react-router/serve': '8.4.0',
    isbot: '5.2.3',
    react: '19.3.1',
    'react-dom': '19.3.1',
    'react-router': '8.4.0',
    vite: '8.3.8',
  },
  'tanstack-start': {
    '@tanstack/react-router': '1.170.46',
    '@tanstack/react-start': '1.169.5',
    '@vitejs/plugin-react': '6.3.0',
    react: '19.3.1',
    'react-dom': '19.3.1',
    vite: '8.3.8',
  },
  libraries: {
    '@rsbuild/core': '2.3.2',
    '@rslib/core': '1.0.1',
    tsdown: '0.21.10',
    typescript: '5.9.3',
    unbuild: '3.6.1',
  },
  nest: {
    '@nestjs/cli': '12.0.8',
    '@nestjs/common': '12.5.1',
    '@nestjs/core': '12.5.1',
    '@nestjs/platform-express': '12.5.1',
    '@rspack/core': '2.2.9',
    '@types/node': '24.19.2',
    'fork-ts-checker-webpack-plugin': '9.2.0',
    'reflect-metadata': '0.2.2',
    rxjs: '7.8.2',
    'ts-loader': '9.6.2',
    'tsconfig-paths-webpack-plugin': '4.2.0',
    typescript: '6.0.3',
    webpack: '5.112.2',
    'webpack-node-externals': '3.0.0',
  },
  next: {
    '@types/node': '24.19.2',
    '@types/react': '19.3.0',
    next: '16.4.6',
    react: '19.3.1',
    'react-dom': '19.3.1',
    typescript: '5.9.3',
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>

export type FrameworkName = keyof typeof versions

/** The Node.js that runs the frameworks, some of which need a newer one than this package. */
export const nodeVersion = '24.21.0'
