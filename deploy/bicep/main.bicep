// What Labelbridge needs of Azure around resources that exist: two identities, the record's storage account,
// role assignments, a role for operators, and (if wanted) the event subscription that starts syncs.
//
//   az deployment sub what-if --location westeurope --template-file main.bicep --parameters example.bicepparam
//   az deployment sub create  --location westeurope --template-file main.bicep --parameters example.bicepparam
//
// Whoever runs it needs Owner, or Contributor and User Access Administrator, where something is made or assigned.
targetScope = 'subscription'

@description('ARM id of the Language resource.')
param languageResource string

@description('ARM id of the Azure ML workspace.')
param workspace string

@description('ARM id of the storage account with the projects\' documents, linked to the Language resource.')
param projectStorage string

@description('Resource group, which must exist, for what this template makes.')
param resourceGroupName string

param location string = deployment().location

@description('Name of the storage account for record, claims, snapshots and audit trail; made, and used for nothing else.')
@minLength(3)
@maxLength(24)
param registryAccount string

@description('Redundancy; regions without availability zones take Standard_GRS.')
param registrySku string = 'Standard_ZRS'

@minLength(3)
@maxLength(63)
param registryContainer string = 'labelbridge'

@description('Days in which deleted or overwritten blobs of the record can be brought back.')
@minValue(7)
@maxValue(365)
param registryRetentionDays int = 30

@description('OIDC issuer of the Kubernetes cluster; empty where the identities are used in another way.')
param clusterIssuer string = ''

param clusterNamespace string = 'labelbridge'

@description('Service accounts that the Helm chart makes.')
param workerServiceAccount string = 'labelbridge-worker'
param consoleServiceAccount string = 'labelbridge-console'

@description('Make the custom role for people who ask for operations. Empty: give them Azure\'s own roles.')
param operatorRoleName string = 'Labelbridge Operator'

@description('Object ids of the groups that get the operator role.')
param operatorGroups string[] = []

@description('Address of the console, https://HOST, to which label exports are announced; empty for no subscription.')
param consoleUrl string = ''

@description('Client id of the console\'s app registration, which has the app role Labelbridge.EventSource.')
param consoleClientId string = ''

@description('Container in which Azure ML writes label exports (the workspace\'s default datastore).')
param exportContainer string = ''

@description('ARM id of the storage account of that container; the workspace\'s own account.')
param exportStorage string = projectStorage

@description('Region of that account, where its system topic must be too.')
param exportLocation string = location

@description('Name of the system topic that the export account has already; an account can have only one.')
param existingSystemTopic string = ''

var withCluster = !empty(clusterIssuer)
var withEvents = !empty(consoleUrl)
var withOperators = !empty(operatorRoleName)

module identities 'modules/identities.bicep' = {
  name: 'labelbridge-identities'
  scope: resourceGroup(resourceGroupName)
  params: {
    location: location
    issuer: clusterIssuer
    workerSubject: withCluster ? 'system:serviceaccount:${clusterNamespace}:${workerServiceAccount}' : ''
    consoleSubject: withCluster ? 'system:serviceaccount:${clusterNamespace}:${consoleServiceAccount}' : ''
  }
}

module registry 'modules/registry.bicep' = {
  name: 'labelbridge-registry'
  scope: resourceGroup(resourceGroupName)
  params: {
    location: location
    accountName: registryAccount
    sku: registrySku
    containerName: registryContainer
    retentionDays: registryRetentionDays
    writers: [
      identities.outputs.workerPrincipalId
      identities.outputs.consolePrincipalId
    ]
  }
}

module language 'modules/language.bicep' = {
  name: 'labelbridge-language'
  scope: resourceGroup(split(languageResource, '/')[2], split(languageResource, '/')[4])
  params: {
    accountName: last(split(languageResource, '/'))
    workerPrincipalId: identities.outputs.workerPrincipalId
    consolePrincipalId: identities.outputs.consolePrincipalId
  }
}

module labeling 'modules/workspace.bicep' = {
  name: 'labelbridge-workspace'
  scope: resourceGroup(split(workspace, '/')[2], split(workspace, '/')[4])
  params: {
    workspaceName: last(split(workspace, '/'))
    workerPrincipalId: identities.outputs.workerPrincipalId
    consolePrincipalId: identities.outputs.consolePrincipalId
  }
}

module storage 'modules/storage.bicep' = {
  name: 'labelbridge-storage'
  scope: resourceGroup(split(projectStorage, '/')[2], split(projectStorage, '/')[4])
  params: {
    accountName: last(split(projectStorage, '/'))
    workerPrincipalId: identities.outputs.workerPrincipalId
    writers: [
      identities.outputs.workerPrincipalId
      language.outputs.principalId
      labeling.outputs.principalId
    ]
  }
}

module operators 'modules/operators.bicep' = if (withOperators) {
  name: 'labelbridge-operators'
  params: {
    roleName: operatorRoleName
    languageResource: languageResource
    workspace: workspace
  }
}

module operatorsLanguage 'modules/language-operators.bicep' = if (withOperators) {
  name: 'labelbridge-operators-language'
  scope: resourceGroup(split(languageResource, '/')[2], split(languageResource, '/')[4])
  params: {
    accountName: last(split(languageResource, '/'))
    roleGuid: withOperators ? operators!.outputs.roleGuid : ''
    groups: operatorGroups
  }
}

module operatorsWorkspace 'modules/workspace-operators.bicep' = if (withOperators) {
  name: 'labelbridge-operators-workspace'
  scope: resourceGroup(split(workspace, '/')[2], split(workspace, '/')[4])
  params: {
    workspaceName: last(split(workspace, '/'))
    roleGuid: withOperators ? operators!.outputs.roleGuid : ''
    groups: operatorGroups
  }
}

module events 'modules/events.bicep' = if (withEvents) {
  name: 'labelbridge-events'
  scope: resourceGroup(split(exportStorage, '/')[2], split(exportStorage, '/')[4])
  params: {
    location: exportLocation
    accountName: last(split(exportStorage, '/'))
    containerName: exportContainer
    existingSystemTopic: existingSystemTopic
    endpoint: '${consoleUrl}/api/v1/eventgrid'
    clientId: consoleClientId
  }
}

@description('For the chart: worker.identity.clientId.')
output workerClientId string = identities.outputs.workerClientId

@description('For the chart: console.identity.clientId.')
output consoleClientId string = identities.outputs.consoleClientId

@description('For azure.language_roles and azure.labeling_roles, beside the roles that are there.')
output operatorRole string = withOperators ? operators!.outputs.roleGuid : ''
