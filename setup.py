from setuptools import find_packages, setup

version = {}
with open('aclnet/__init__.py') as stream:
    exec(stream.read(), version)

setup(
    name='aclnet',
    version=version['__version__'],
    description='Affinity contrastive learning for skeleton-based action recognition',
    long_description=open('README.md', encoding='utf-8').read(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    project_urls={'Paper': 'https://arxiv.org/abs/2601.16694'},
    classifiers=[
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    python_requires='>=3.10,<3.13',  # mmcv-full 1.7 does not build on 3.13
    packages=find_packages(include=['aclnet', 'aclnet.*']),
    package_data={'aclnet.benchmarks': ['classes/*.txt']},
    install_requires=['torch>=2.4', 'mmcv-full>=1.7.2,<2', 'numpy>=1.26', 'scipy>=1.11', 'pymemcache>=4', 'tqdm>=4.60'],
    extras_require={
        'viz': ['matplotlib>=3.8', 'tensorboard>=2.15'],
        'dev': ['pytest>=8', 'pytest-timeout>=2.3', 'pytest-xdist>=3.7', 'hypothesis>=6.100', 'ruff>=0.6', 'mypy>=2'],
    },
)
